"""What derivatives are built of: nodes whose outputs are gradients, or sums of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType, TensorType


class GradientBuilder:
    """Emits backward nodes behind the forward nodes of a graph.

    Args:
        builder: holds the forward graph; backward nodes are appended.
        dtype: of gradients: s8, s16 or f32.
    """

    def __init__(self, builder: GraphBuilder, dtype: DType) -> None:
        self.builder = builder
        self.dtype = dtype

    def emit(
        self, op: str, node: Node, inputs: Sequence[Value], type_: TensorType, **attrs: Any
    ) -> Value:
        """One backward node for the forward node `node`; its output is named `<layer>_<op>`."""
        (value,) = self.builder.node(
            op,
            inputs,
            [type_],
            name=f"{node.layer}_{op}",
            layer=node.layer,
            where=node.where,
            **attrs,
        )
        return value

    def rounded(
        self, op: str, node: Node, inputs: Sequence[Value], shape: Sequence[int], **attrs: Any
    ) -> Value:
        """A gradient that is rounded to integers with an exponent of its own."""
        exponent = None
        if self.dtype is not DType.F32:
            exponent = self.builder.value(f"{node.layer}_{op}_e", TensorType((1,), DType.S32)).name
        return self.emit(
            op, node, inputs, TensorType(tuple(shape), self.dtype, None, exponent), **attrs
        )

    def moved(
        self, op: str, node: Node, inputs: Sequence[Value], shape: Sequence[int], **attrs: Any
    ) -> Value:
        """A gradient whose integers are those of `inputs[0]`, elsewhere."""
        return self.emit(op, node, inputs, replace(inputs[0].type, shape=tuple(shape)), **attrs)

    def sum(
        self, op: str, node: Node, inputs: Sequence[Value], shape: Sequence[int], **attrs: Any
    ) -> Value:
        """A sum dW or dB; `exponent` of its type is that of the gradient behind it."""
        dtype = DType.F32 if self.dtype is DType.F32 else DType.S32
        exponent = inputs[-1].type.exponent
        return self.emit(op, node, inputs, TensorType(tuple(shape), dtype, None, exponent), **attrs)

    def take_back(self, value: Value) -> Node:
        """Removes the emitted node that wrote `value`, which nothing has read yet."""
        nodes = self.builder.nodes
        index = max(k for k, node in enumerate(nodes) if value in node.outputs)
        return nodes.pop(index)
