"""What is said of an operation that cannot be compiled: what to use in its place.

The names of all formats lead to one row for each kind of operation. A row's help speaks of that
operation alone; a list of everything that is supported is in the docs, not in an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tinytrain.errors import ModelError, Where

PADDING_HELP = "pad height and width with zeros, best inside the convolution or pooling layer"
"""In the place of other padding."""

_HELP: tuple[tuple[str, str], ...] = (
    (
        r"lstm|gru|rnn|svdf|^scan$|^loop$|^while$",
        "use a stack of dilated 1-D convolutions (a TCN) in place of a recurrent layer",
    ),
    (
        r"attention|transformer|scaled_dot_product|batch_?mat_?mul|^bmm$|einsum",
        "use convolutions and a global mean in place of attention",
    ),
    (
        r"group_?norm|layer_?norm|instance_?norm|rms_?norm|local_?response|lrn(2d)?$",
        "use batch normalisation, which is folded into the layer before it",
    ),
    (
        r"transpose_?conv|conv_?transpose|convolution2dtransposebias",
        "use a nearest-neighbour resize by a whole factor and a convolution",
    ),
    (r"^bilinear$", "concatenate both inputs, and use a dense layer"),
    (
        r"cosine_?similarity|pairwise_?distance|cdist",
        "end the model at its embedding, and compare in the firmware",
    ),
    (r"fractional_?max_?pool", "use a max pooling with a fixed window"),
    (r"^unfold$|^fold$|im2col|col2im", "use a convolution, which reads its windows itself"),
    (r"deform", "use an ordinary convolution"),
    (
        r"max_?unpool|max_?pool.*(argmax|indices)",
        "use strided convolutions and nearest-neighbour resizes",
    ),
    (
        r"^(not_?)?equal$|^greater|^less|^(logical_?)?(and|or|not|xor)$|^[lg][te]$|^eq$|^ne$|floor_?div|floor_?mod|^mod$|remainder",
        "leave comparisons and arithmetic of indices to the firmware; what decides about branches "
        "must be known when the model is exported",
    ),
    (
        r"bilinear|bicubic|^resize$|upsample|interpolate|grid_?sampl|roi",
        "resize by whole factors with nearest neighbours",
    ),
    (
        r"var_handle|read_variable|assign_variable|call_once",
        "export the model that takes a whole window at once, not the streaming one",
    ),
    (
        r"^if$|^where$|select|^case$|cond",
        "export the model with its branches resolved; what runs on the device has none",
    ),
    (
        r"detection|non_?max|topk|^sort$|nms|gather_nd|scatter|^nonzero$|unique",
        "end the model before this step and do it in the firmware; --model-output names a tensor "
        "to end at",
    ),
    (r"embedding|hashtable|lookup|string|tokeniz", "look up features in the firmware"),
    (
        r"stft|^rfft|^fft|^dft$|mfcc|audio_spectrogram|mel",
        "compute the spectrogram in the firmware, and give the model its features",
    ),
    (
        r"fakequant|fake_quant|quant$|bipolar|binar",
        "export the model in float, or quantized in the QDQ form of the format itself",
    ),
    (
        r"convinteger|matmulinteger|dynamicquantize",
        "quantize statically (QDQ), which fixes scales from calibration data, or give the float "
        "model and --calibration",
    ),
    (
        r"argmax|arg_max|argmin|arg_min",
        "end the model at its logits; the device tells the predicted class itself",
    ),
    (r"cumsum|cumulative", "use a convolution with constant weights over the length"),
    (r"sum$|reduce_?prod|reduce_?min|variance|^var$|std", "use a mean over height and width"),
    (r"conv3d|pool3d|convolution3d", "use 1-D or 2-D convolutions"),
    (r"random|multinomial|bernoulli|normal_like", "leave random numbers to training on the host"),
    (r"fft", "compute the spectrum in the firmware"),
)
_OTHERWISE = "replace it in the model; docs/operations.md lists what can be compiled"


def help_for(operation: str) -> str:
    """What to use in the place of an operation, by its name in the user's format."""
    # aten.layer_norm.default, ai.onnx.ml.Scaler: the part that names the operation.
    parts = operation.split(".")
    name = parts[1] if parts[0] == "aten" and len(parts) > 1 else parts[-1]
    for pattern, help in _HELP:
        if re.search(pattern, name, re.IGNORECASE):
            return help
    return _OTHERWISE


_LAYERS: tuple[tuple[str, str], ...] = (
    (r"layer_?norm(alization)?(?![a-z])", "layer normalisation"),
    (r"group_?norm(alization)?(?![a-z])", "group normalisation"),
    (r"instance_?norm(alization)?(?![a-z])", "instance normalisation"),
    (r"rms_?norm(alization)?(?![a-z])", "RMS normalisation"),
    (r"(multi_?head_?)?attention(?![a-z])", "attention"),
    (r"(?<![a-z])lstm(_cell)?(?![a-z])", "LSTM"),
    (r"(?<![a-z])gru(_cell)?(?![a-z])", "GRU"),
)
"""Layers that converters write out as many operations, by how nodes inside of them are named."""


def layer_around(node: str | None) -> tuple[str, str] | None:
    """The layer that a node was written out from, by its path: its kind and its name."""
    for part in (node or "").split("/"):
        for pattern, kind in _LAYERS:
            if re.search(pattern, part, re.IGNORECASE):
                return kind, part
    return None


def in_its_layer(what: str, node: str | None, help: str | None) -> tuple[str, str | None]:
    """What is wrong with a node and its help, which is that of the layer around it."""
    layer = layer_around(node)
    if layer is None or layer[0] in what:
        return what, help
    kind, name = layer
    return f"{what}, in the {kind} '{name}'", help_for(kind.replace(" normalisation", "norm"))


@dataclass(frozen=True)
class Reason:
    """One thing that stands in the way.

    Attributes:
        what: a clause such as "operation 'LSTM' is not supported".
        node: of the user's file.
        help: what to do about it.
    """

    what: str
    node: str | None
    help: str | None


def unsupported(operation: str, node: str | None) -> Reason:
    """An operation that nothing here can compute."""
    what = f"operation '{operation}' is not supported"
    what, help = in_its_layer(what, node, help_for(operation))
    return Reason(what, node, help)


def of_error(error: ModelError) -> Reason:
    """What an error about one node says."""
    return Reason(error.what, error.where.node if error.where else None, error.help)


def constant_output(file: str | None) -> ModelError:
    """The error about an output that the input does not reach."""
    return ModelError(
        "the output of the model does not depend on its input",
        where=Where(file),
        help="choose another output with --model-output, or export the model again",
    )


_SHOWN = 3


def refusal(file: str | None, reasons: Iterable[Reason]) -> ModelError:
    """One error for everything that stands in the way, alike things together.

    A single reason is told as it is; several are listed, each with its nodes and its help.
    """
    groups: dict[tuple[str, str | None], list[str]] = {}
    for reason in reasons:
        nodes = groups.setdefault((reason.what, reason.help), [])
        if reason.node is not None and reason.node not in nodes:
            nodes.append(reason.node)
    if len(groups) == 1:
        (((what, help), nodes),) = groups.items()
        more = f" (and {len(nodes) - 1} more like it)" if len(nodes) > 1 else ""
        return ModelError(what + more, where=Where(file, nodes[0] if nodes else None), help=help)
    lines = []
    for (what, help), nodes in groups.items():
        places = ", ".join(f"'{node}'" for node in nodes[:_SHOWN])
        if len(nodes) > _SHOWN:
            places += f" and {len(nodes) - _SHOWN} more"
        lines.append(what + (f" (node {places})" if places else ""))
        if help:
            lines.append(f"  help: {help}")
    return ModelError(
        f"{len(groups)} things in the model cannot be compiled",
        where=Where(file),
        detail="\n".join(lines),
        help="mend each of them",
    )
