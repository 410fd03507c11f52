"""A fresh classifier for `--classes N`.

The head is the last layer with weights. Its logits leave as s32 accumulators: the loss dequantizes
them, so they have no range to overflow and no rounding. Weights start uniform in ±1/sqrt(I), the
rule of PyTorch's Linear, with one scale for which ±127 is `HEADROOM` times that bound, so that they
can grow.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinytrain.errors import ModelError, UsageError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.reference.lowering import scale_of

HEADROOM = 8.0
MAX_CLASSES = 65_535
"""Kernels count channels in 16 bits."""


@dataclass(frozen=True)
class ReplaceHead:
    """Replaces the head by one of `classes` outputs, 2 to `MAX_CLASSES`; None keeps it.

    Raises:
        UsageError: fewer than two classes, or more than `MAX_CLASSES`.
        ModelError: the last layer with weights does not feed the output directly.
    """

    classes: int | None
    seed: int
    name: ClassVar[str] = "replace_head"
    summary: ClassVar[str] = "puts a fresh classifier in the place of the last layer, if asked to"

    def __call__(self, graph: Graph) -> Graph:
        if self.classes is None:
            return graph
        if not 2 <= self.classes <= MAX_CLASSES:
            raise UsageError(f"--classes must be between 2 and {MAX_CLASSES}, got {self.classes}")
        last = weighted_layers(graph)[-1]
        index = next(
            k for k, n in enumerate(graph.nodes) if traits_of(n).has_weights and n.layer == last
        )
        head, tail = graph.nodes[index], graph.nodes[index + 1 :]
        if head.inputs[0].type.quantization is None or any(
            not traits_of(node).same_bytes for node in tail
        ):
            names = ", ".join(node.op for node in tail) or "nothing"
            raise ModelError(
                f"the last layer with weights, '{head.name}', is followed by {names}: it is no "
                "classifier that could be replaced",
                where=head.where,
                help="leave --classes out to train the model's own output",
            )
        _refuse_no_classifier(head)
        fresh, data = _fresh(head, self.classes, self.seed)
        logits = replace(fresh.output, name="logits")
        logits = replace(logits, type=replace(logits.type, shape=(1, self.classes)))
        flat = Node(
            "reshape", (fresh.output,), (logits,), {}, f"{head.name}_logits_flat", head.layer
        )
        elsewhere = {value for node in graph.nodes[:index] for value in node.inputs}
        gone = [value for value in head.inputs if value not in elsewhere]
        constants = {v: d for v, d in graph.constants.items() if v not in gone}
        return replace(
            graph,
            nodes=(*graph.nodes[:index], fresh, flat),
            outputs=(logits,),
            constants=constants | data,
        )


def _fresh(head: Node, classes: int, seed: int) -> tuple[Node, dict[Value, np.ndarray]]:
    """The new layer with its initial weights and bias."""
    x, w, b = head.inputs
    shape = (classes, *w.type.shape[1:])
    bound = 1.0 / np.sqrt(math.prod(shape[1:]))
    scale = float(np.float32(bound * HEADROOM / 127.0))
    rng = np.random.default_rng(seed)
    data = np.round(rng.uniform(-bound, bound, shape) / scale).astype(np.int8)
    meaning = Quantization((scale,) * classes, axis=0)
    weights = Value(w.name, TensorType(shape, DType.S8, meaning))
    bias = Value(b.name, TensorType((classes,), DType.S32))
    logits = Value(
        f"{head.name}_logits",
        TensorType((1, 1, 1, classes), DType.S32, Quantization((scale_of(x) * scale,))),
    )
    node = replace(head, inputs=(x, weights, bias), outputs=(logits,))
    node = node.with_attrs(clamp=(-128, 127))
    return node, {weights: data, bias: np.zeros(classes, np.int32)}


def _refuse_no_classifier(head: Node) -> None:
    _, height, width, _ = head.output.type.shape
    why = None
    if height * width > 1:
        why = f"gives a map of {height}x{width} outputs, not one"
    elif head.attrs["groups"] > 1:
        why = f"has {head.attrs['groups']} groups, so that no output sees all of its input"
    if why is not None:
        raise ModelError(
            f"the last layer with weights, '{head.name}', is no classifier: it {why}",
            where=head.where,
            help="end the model with a global pooling and a dense layer, or leave --classes out",
        )
