"""The reverse sweep: from the gradient of the loss back to the parameters, and no further.

Only nodes on a path from a parameter to the loss get a gradient, so what an update scheme does not
need is never built. A value that several nodes read gets the sum of their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tinytrain.autodiff.rules import RULES
from tinytrain.errors import ModelError
from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType, Quantization, TensorType

FULL_RANGE = (-128, 127)

# An average cannot leave the range of what it averages, nor can a copy.
_SATURATING = frozenset({"conv2d", "add", "multiply"})


class Sweep:
    """Emits backward nodes into a builder.

    Args:
        builder: holds the forward graph; backward nodes are appended.
        dtype: of gradients: s8, s16 or f32.
    """

    def __init__(self, builder: GraphBuilder, dtype: DType) -> None:
        self.builder = builder
        self.dtype = dtype

    def run(self, output: Value, gradient: Value) -> dict[Value, Value]:
        """Gradients of the parameters that `output` depends on.

        Args:
            output: what the loss read, f32 or the s8/s32 before its dequantize.
            gradient: of the loss with respect to it.

        Returns:
            for each parameter its sum (dW, dB), before any update.

        Raises:
            ModelError: an operation on the way has no derivative.
        """
        forward = tuple(self.builder.nodes)
        wanted = self._depend_on_parameters(forward)
        gradients: dict[Value, Value] = {output: gradient}
        for node in reversed(forward):
            if node.outputs[0] not in gradients or node.outputs[0] not in wanted:
                continue
            rule = RULES.get(node.op)
            if rule is None:
                raise ModelError(
                    f"operation '{node.op}' has no derivative, and a trained layer lies before it",
                    where=node.where,
                    help=f"train only layers after '{node.name}', or leave the operation out",
                )
            g = self._through_clamp(node, gradients[node.outputs[0]])
            positions = frozenset(k for k, value in enumerate(node.inputs) if value in wanted)
            for position, found in sorted(rule(self, node, g, positions).items(), reverse=True):
                value = node.inputs[position]
                known = gradients.get(value)
                gradients[value] = found if known is None else self._branches(node, known, found)
        return {value: gradients[value] for value in self.builder.parameters if value in gradients}

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

    def _branches(self, node: Node, a: Value, b: Value) -> Value:
        return self.rounded("grad_add", node, [a, b], a.type.shape)

    def _through_clamp(self, node: Node, g: Value) -> Value:
        clamp, y = node.attrs.get("clamp", FULL_RANGE), node.outputs[0]
        saturates = node.op in _SATURATING or _requantizes(node) or clamp != FULL_RANGE
        if y.type.dtype is not DType.S8 or not saturates:
            return g
        return self.moved("grad_clamp", node, [g, y], g.type.shape, clamp=clamp)

    def _depend_on_parameters(self, forward: Sequence[Node]) -> set[Value]:
        reached = set(self.builder.parameters)
        for node in forward:
            if any(value in reached for value in node.inputs):
                reached.update(node.outputs)
        return reached


def _requantizes(node: Node) -> bool:
    return node.op == "avg_pool2d" and _quantization(node.inputs[0]) != _quantization(
        node.outputs[0]
    )


def _quantization(value: Value) -> Quantization | None:
    return value.type.quantization
