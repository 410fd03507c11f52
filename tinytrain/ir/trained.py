"""What a training graph trains: each tensor, and the node that turns its gradient into updates."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import replaced, role_of, stored_in
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType


@dataclass(frozen=True, eq=False)
class TrainedTensor:
    """Weights or a bias.

    Attributes:
        update: the node that applies its gradient, to itself or to its velocity.
        parameter: the weights, s8, or the bias, s32.
        fraction: fractional bits of weights; None where there are none.
        bits: how many a weight has.
    """

    update: Node
    parameter: Value
    fraction: Value | None
    bits: int

    @property
    def name(self) -> str:
        """What a person calls it."""
        what = "bias" if self.parameter.type.dtype is DType.S32 else "weights"
        return f"{what} of {self.update.layer}"


def trained_tensors(graph: Graph) -> tuple[TrainedTensor, ...]:
    """All of them, in the order of their updates."""
    roots = stored_in(graph)
    written = {
        node: [roots.get(old, old) for old, _ in replaced(node)]
        for node in graph.nodes
        if role_of(node) in (Role.UPDATE, Role.APPLY)
    }
    # Of a tensor with a velocity, the node that applies the velocity knows both.
    applied = {
        value: node for node in written if role_of(node) is Role.APPLY for value in written[node]
    }
    tensors = []
    for node in (node for node in written if role_of(node) is Role.UPDATE):
        last = applied.get(written[node][0], node)
        parameter, *rest = written[last]
        bits = int(last.attrs.get("fraction_bits", 0))
        tensors.append(TrainedTensor(node, parameter, rest[0] if bits else None, bits))
    return tuple(tensors)
