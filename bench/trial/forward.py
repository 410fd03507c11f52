"""Our s8 graph beside the format's own reference, on the same inputs and at the same tensor."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinytrain.compiler.samples import source_spec
from tinytrain.data import load_calibration
from tinytrain.data.spec import quantize_input
from tinytrain.frontend.imported import Imported, Missing
from tinytrain.frontend.importing import quiet
from tinytrain.frontend.proof import to_ours
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import DType
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import scale_of, zero_of

STEPS_APART = 0.5
"""Mean steps of an integer output by which two kernels of a format may differ."""

_ENDS = frozenset({"softmax", "activation"})
"""What may be left out at the end of a model."""

SHARE_APART = 1e-3
"""The same for a float output, as a share of its largest number."""


@dataclass(frozen=True, eq=False)
class Forward:
    """How outputs compare.

    Attributes:
        tensor: of the file, at which both are compared.
        outputs: ours, f64 [N, outputs], inputs that were left out among them.
        left_out: inputs on which the reference's own kernels differ.
        agreement: share of the other inputs with the same largest output; None for one output.
        correlation: of all outputs on the other inputs.
    """

    tensor: str
    outputs: np.ndarray
    left_out: int
    agreement: float | None
    correlation: float


def our_outputs(forward: Graph, imported: Imported, x: np.ndarray) -> np.ndarray:
    """Reals f64 [N, outputs] in our order of elements.

    Args:
        forward: s8, from `to_integers`.
        x: f32 [N, ...] in the model's own shape and layout.
    """
    machine = Machine(DenseToConv()(forward))
    value, output = machine.graph.inputs[0], machine.graph.outputs[0]
    samples = load_calibration({"x": x}, source_spec(imported.graph, None), len(x)).samples
    found = []
    for sample in quantize_input(samples, scale_of(value), zero_of(value)):
        known = machine.run({value.name: sample.reshape(value.type.shape)})
        found.append(_reals(known[output], output).ravel())
    return np.array(found)


def compare(
    path: Path, imported: Imported, ours: np.ndarray, x: np.ndarray, *, before_end: bool
) -> Forward | None:
    """None where there is nothing to compare with.

    Args:
        before_end: whether ours are logits, since a softmax or sigmoid at the end was left out.
    """
    reference = imported.reference
    if isinstance(reference, Missing):
        return None
    place = _output_tensor(imported, before_end)
    if place is None:
        return None
    tensor, value = place
    theirs, apart = [], []
    try:
        optimized = _Optimized(path) if path.suffix == ".tflite" else None
    except ValueError:  # a file that LiteRT itself does not take
        return None
    for sample in x:
        raw = reference.run([sample[None]], [tensor])[tensor]
        theirs.append(_in_our_order(raw, imported, tensor, value))
        if optimized is not None:
            apart.append(_differ(raw, optimized.run(sample[None], tensor)))
    wanted = np.array(theirs)
    kept = ~np.array(apart, bool) if apart else np.ones(len(x), bool)
    if not kept.any():
        return None
    a, b = _within(ours[kept], value), wanted[kept]
    agreement = float((a.argmax(1) == b.argmax(1)).mean()) if a.shape[1] > 1 else None
    return Forward(tensor, ours, int((~kept).sum()), agreement, _correlation(a, b))


def _within(ours: np.ndarray, value: Value) -> np.ndarray:
    """Our outputs in the range that theirs can have: ours may be accumulators, without one."""
    meaning = value.type.quantization
    if value.type.dtype is not DType.S8 or meaning is None:
        return ours
    low, high = (np.array([-128, 127]) - meaning.zero_point) * max(meaning.scale)
    return np.clip(ours, low, high)


def _correlation(a: np.ndarray, b: np.ndarray) -> float:
    if a.std() == 0 or b.std() == 0:
        return 1.0 if np.allclose(a, b, atol=1e-6) else 0.0
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def _output_tensor(imported: Imported, before_end: bool) -> tuple[str, Value] | None:
    """The file's tensor that our output stands for: behind it there are only moves."""
    names = {tensor.value: name for name, tensor in imported.tensors.items()}
    producers, value = imported.graph.producers(), imported.graph.outputs[0]
    while before_end or value not in names:
        if value not in producers:
            return None
        node = producers[value]
        before_end = before_end and node.op not in _ENDS
        value = node.inputs[0]
    return names[value], value


def _in_our_order(raw: np.ndarray, imported: Imported, tensor: str, value: Value) -> np.ndarray:
    """A tensor of the file as our output: its reals, moved as our last nodes move them."""
    graph = imported.graph
    found = to_ours(raw, imported.tensors[tensor])
    if raw.dtype == np.uint8:
        found = found.astype(np.float64) - 128
    elif raw.dtype == np.int16:
        found = found / 256.0
    reals = _reals(found, value)
    for node in graph.nodes[[n.output for n in graph.nodes].index(value) + 1 :]:
        if node.op in _ENDS:
            continue
        if node.op == "transpose":
            reals = reals.transpose(node.attrs["axes"])
        elif node.op == "reshape":
            reals = reals.reshape(node.output.type.shape)
        else:
            assert node.op in ("quantize", "dequantize"), f"{node.op} behind the tensor {tensor}"
    return reals.ravel()


def _reals(values: np.ndarray, value: Value) -> np.ndarray:
    reals = values.astype(np.float64)
    if value.type.dtype is DType.F32:
        return reals
    meaning = value.type.quantization
    assert meaning is not None
    scale = np.asarray(meaning.scale, np.float64)
    return (reals - meaning.zero_point) * scale


def _differ(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two kernels of a format differ in the largest of several outputs.

    Of a map, or of one output: whether they differ by more than rounding.
    """
    x, y = a.astype(np.float64), b.astype(np.float64)
    if x.size == x.shape[-1] > 1:
        return bool(x.argmax() != y.argmax())
    allowed = STEPS_APART if a.dtype.kind in "iu" else SHARE_APART * np.abs(x).max()
    return bool(np.abs(x - y).mean() > allowed)


class _Optimized:
    """A TFLite file with LiteRT's optimized kernels."""

    def __init__(self, path: Path) -> None:
        import ai_edge_litert.interpreter as litert

        kind = litert.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        with quiet():
            self.interpreter: Any = litert.Interpreter(
                model_content=path.read_bytes(),
                experimental_op_resolver_type=kind,
                experimental_preserve_all_tensors=True,
                num_threads=1,
            )
            self._detail = self.interpreter.get_input_details()[0]
            shape = self._detail["shape_signature"]
            self.interpreter.resize_tensor_input(
                self._detail["index"], [1, *self._detail["shape"][1:]] if len(shape) else shape
            )
            self.interpreter.allocate_tensors()

    def run(self, x: np.ndarray, tensor: str) -> np.ndarray:
        detail = self._detail
        if detail["dtype"] != np.float32:
            scale, zero = detail["quantization"]
            limits = np.iinfo(detail["dtype"])
            x = np.clip(np.rint(x / np.float32(scale)) + zero, limits.min, limits.max)
        with quiet():
            self.interpreter.set_tensor(detail["index"], x.astype(detail["dtype"]))
            self.interpreter.invoke()
            return np.asarray(self.interpreter.get_tensor(int(tensor.split(":", 1)[0])))
