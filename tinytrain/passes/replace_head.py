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

HEADROOM = 8.0
MAX_CLASSES = 65_535
"""Kernels count channels in 16 bits."""


@dataclass(frozen=True)
class ReplaceHead:
    """Replaces the head by one of `classes` outputs; None keeps it.

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
            raise UsageError(
                f"{self.classes} classes make no classifier",
                help=f"give --classes 2 to {MAX_CLASSES}",
            )
        index = _head_index(graph)
        head, tail = graph.nodes[index], graph.nodes[index + 1 :]
        x, w, _ = head.inputs
        if x.type.quantization is None or any(not traits_of(node).same_bytes for node in tail):
            names = ", ".join(node.op for node in tail) or "nothing"
            raise ModelError(
                f"the last layer with weights, '{head.name}', is followed by {names}: it is no "
                "classifier that could be replaced",
                where=head.where,
                help="leave --classes out to train the model's own output",
            )
        _refuse_no_classifier(head)
        rng = np.random.default_rng(self.seed)
        fan_in = math.prod(w.type.shape[1:])
        bound = 1.0 / np.sqrt(fan_in)
        scale = float(np.float32(bound * HEADROOM / 127.0))
        shape = (self.classes, *w.type.shape[1:])
        weights = np.round(rng.uniform(-bound, bound, shape) / scale).astype(np.int8)
        new_w = Value(
            w.name, TensorType(shape, DType.S8, Quantization((scale,) * self.classes, axis=0))
        )
        new_b = Value(head.inputs[2].name, TensorType((self.classes,), DType.S32))
        out_scale = Quantization((x.type.quantization.scale[0] * scale,))
        y_shape = (*head.output.type.shape[:-1], self.classes)
        y = Value(f"{head.name}_logits", TensorType(y_shape, DType.S32, out_scale))
        node = replace(head, inputs=(x, new_w, new_b), outputs=(y,)).with_attrs(clamp=(-128, 127))
        flat = Node(
            "reshape",
            (y,),
            (Value("logits", TensorType((1, y.type.size), DType.S32, out_scale)),),
            {},
            f"{head.name}_logits_flat",
            head.layer,
        )
        constants = {v: d for v, d in graph.constants.items() if v not in head.inputs}
        constants[new_w] = weights
        constants[new_b] = np.zeros(self.classes, np.int32)
        return replace(
            graph,
            nodes=(*graph.nodes[:index], node, flat),
            outputs=(flat.output,),
            constants=constants,
        )


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


def _head_index(graph: Graph) -> int:
    indices = [k for k, node in enumerate(graph.nodes) if traits_of(node).has_weights]
    if not indices:
        raise ModelError(
            "the model has no layer with weights", help="there is nothing to train in it"
        )
    return indices[-1]
