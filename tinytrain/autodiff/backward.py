"""The reverse sweep: from the gradient of the loss back to the parameters, and no further.

Only nodes on a path from a parameter to the loss get a gradient, so what an update scheme does not
need is never built. A value that several nodes read gets the sum of their gradients.
"""

from __future__ import annotations

from collections.abc import Sequence

from tinytrain.autodiff.derivatives import DERIVATIVES
from tinytrain.autodiff.gradient_builder import GradientBuilder
from tinytrain.errors import ModelError
from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType

FULL_RANGE = (-128, 127)


class Sweep:
    """Emits backward nodes into a builder.

    Args:
        builder: holds the forward graph; backward nodes are appended.
        dtype: of gradients: s8, s16 or f32.
    """

    def __init__(self, builder: GraphBuilder, dtype: DType) -> None:
        self._builder = builder
        self._emitted = GradientBuilder(builder, dtype)

    def run(self, output: Value, gradient: Value) -> dict[Value, tuple[Value, ...]]:
        """Gradients of the parameters that `output` depends on.

        Args:
            output: what the loss read, f32 or the s8/s32 before its dequantize.
            gradient: of the loss with respect to it.

        Returns:
            for each parameter its sums (dW, dB), before any update: one for each layer that reads
            it. Their scales differ, so that they are added where they are applied.

        Raises:
            ModelError: an operation on the way has no derivative.
        """
        forward = tuple(self._builder.nodes)
        wanted = self._depend_on_parameters(forward)
        gradients: dict[Value, Value] = {output: gradient}
        sums: dict[Value, list[Value]] = {value: [] for value in self._builder.parameters}
        for node in reversed(forward):
            if node.outputs[0] not in gradients or node.outputs[0] not in wanted:
                continue
            derive = DERIVATIVES.get(node.op)
            if derive is None:
                raise ModelError(
                    f"operation '{node.op}' has no derivative, and a trained layer lies before it",
                    where=node.where,
                    help=f"train only layers after '{node.name}', or leave the operation out",
                )
            g = self._through_clamp(node, gradients[node.outputs[0]])
            positions = frozenset(k for k, value in enumerate(node.inputs) if value in wanted)
            derived = derive(self._emitted, node, g, positions)
            for position, found in sorted(derived.items(), reverse=True):
                value = node.inputs[position]
                if value in sums:
                    sums[value].append(found)
                    continue
                known = gradients.get(value)
                gradients[value] = found if known is None else self._branches(node, known, found)
        return {value: tuple(found) for value, found in sums.items() if found}

    def _branches(self, node: Node, a: Value, b: Value) -> Value:
        return self._emitted.rounded("grad_add", node, [a, b], a.type.shape)

    def _through_clamp(self, node: Node, g: Value) -> Value:
        clamp, y = node.attrs.get("clamp"), node.outputs[0]
        if clamp is None or y.type.dtype is not DType.S8 or not _saturates(node):
            return g
        return self._emitted.moved("grad_clamp", node, [g, y], g.type.shape, clamp=clamp)

    def _depend_on_parameters(self, forward: Sequence[Node]) -> set[Value]:
        reached = set(self._builder.parameters)
        for node in forward:
            if any(value in reached for value in node.inputs):
                reached.update(node.outputs)
        return reached


def _saturates(node: Node) -> bool:
    """Whether a node with a clamp can give a result at the end of its range."""
    stays = traits_of(node).within_range and all(
        value.type.quantization == node.outputs[0].type.quantization for value in node.inputs
    )
    return not stays or node.attrs["clamp"] != FULL_RANGE
