"""All operations as one table, and what they tell of a graph."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from tinytrain.errors import InternalError
from tinytrain.ir import (
    ops_convolution,  # noqa: F401  (fills the table)
    ops_elementwise,  # noqa: F401  (fills the table)
    ops_layout,  # noqa: F401  (fills the table)
    ops_loss,  # noqa: F401  (fills the table)
    ops_normalize,  # noqa: F401  (fills the table)
    ops_pooling,  # noqa: F401  (fills the table)
    ops_update,  # noqa: F401  (fills the table)
)
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops import OPS as _OPS
from tinytrain.ir.ops import Op, Role, Traits

OPS: Mapping[str, Op] = _OPS
"""By name."""


def traits_of(node: Node) -> Traits:
    """What the compiler has to know of a node's operation."""
    return OPS[node.op].traits


def role_of(node: Node) -> Role:
    """What a node is there for."""
    return OPS[node.op].traits.role


def macs_of(node: Node) -> int:
    """Multiplications with weights that a forward node does."""
    if not traits_of(node).has_weights:
        return 0
    return node.output.type.size * math.prod(node.inputs[1].type.shape[1:])


def loss_index(graph: Graph) -> int:
    """Place of the loss among the nodes: those before it are the forward pass.

    Raises:
        InternalError: the graph has none.
    """
    for index, node in enumerate(graph.nodes):
        if role_of(node) is Role.LOSS:
            return index
    raise InternalError("the graph has no loss")


def head(graph: Graph) -> Node:
    """The last layer with weights."""
    return [node for node in graph.nodes if traits_of(node).has_weights][-1]


def head_input(graph: Graph) -> Value:
    """What the head reads."""
    return head(graph).inputs[0]


def frozen_count(graph: Graph, forward: Sequence[Node]) -> int:
    """Number of nodes before the first that reads a parameter or that inference leaves out; where
    there is no parameter, before the head.

    Args:
        forward: the nodes before the loss.
    """
    trained: set[Value] = set(graph.parameters)
    if not trained and any(traits_of(node).has_weights for node in forward):
        read = head_input(graph)
        return next(k for k, node in enumerate(forward) if read in node.inputs)
    for count, node in enumerate(forward):
        reads = trained.intersection(node.inputs)
        if role_of(node) is Role.VIEW:
            # No code: it only says where the two parts of the weights lie.
            trained.update(node.outputs if reads else ())
        elif reads or role_of(node) is Role.TRAINING:
            return count
    return len(forward)


def replaced(node: Node) -> tuple[tuple[Value, Value], ...]:
    """(old, new) for each tensor that an update writes over; nothing for any other node."""
    if not traits_of(node).overwrites:
        return ()
    return tuple(zip(node.inputs[-len(node.outputs) :], node.outputs, strict=True))


def stored_in(graph: Graph) -> dict[Value, Value]:
    """For each value that an update writes, the parameter whose storage it takes."""
    roots: dict[Value, Value] = {}
    for node in graph.nodes:
        for old, new in replaced(node):
            roots[new] = roots.get(old, old)
    return roots
