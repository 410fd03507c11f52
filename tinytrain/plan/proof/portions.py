"""Proves that a step may be cut: its parts are all of it, and no copy lies over what is needed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.plan.cuts import NodeCut, Portions
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.arena_bytes import meet

_APART = ("positions", "rows", "grad_rows", "outputs", "columns")
"""Kinds of parts that write while others are still to read the same input."""


def check_portions(plan: Plan, portions: Portions) -> None:
    """Raises `InternalError` where a cut would change a result.

    When a value is written and read for the last time is found here anew, from the nodes alone.
    """
    lives = dict(_lives(plan))
    for index, node in enumerate(plan.graph.nodes):
        cut = portions.cuts.get(node.name)
        if cut is None or cut.kind == "whole":
            continue
        if cut.copy is not None:
            _check_copy(plan, node, index, cut, lives)
        if cut.kind in _APART and cut.copy is None:
            _check_apart(plan, node)


def _lives(plan: Plan) -> Iterator[tuple[Value, tuple[int, int]]]:
    """From the node that writes each value in the arena to the last one that reads it."""
    written = dict.fromkeys(plan.graph.inputs, -1)
    read: dict[Value, int] = {}
    for index, node in enumerate(plan.graph.nodes):
        written |= dict.fromkeys(node.outputs, index)
        read |= dict.fromkeys(node.inputs, index)
    # What leaves the graph, its output and the loss, is taken right after the loss.
    for value in plan.offsets:
        yield value, (written[value], read.get(value, written[value]))


def _check_copy(
    plan: Plan, node: Node, index: int, cut: NodeCut, lives: Mapping[Value, tuple[int, int]]
) -> None:
    assert cut.copy is not None
    copy = range(cut.copy, cut.copy + cut.copy_bytes)
    if cut.copy % 8 or copy.stop > plan.nbytes:
        raise InternalError(f"the copy for a part of {node.name} lies at {cut.copy}")
    for value, (first, last) in lives.items():
        if first <= index <= last and meet(copy, _area(plan, value)):
            raise InternalError(f"the copy for a part of {node.name} lies over {value}")
    if node.name in plan.workspaces:
        start = plan.workspaces[node.name]
        if meet(copy, range(start, start + plan.choices[node.name].workspace)):
            raise InternalError(f"the copy for a part of {node.name} lies over its workspace")


def _check_apart(plan: Plan, node: Node) -> None:
    for written in node.outputs:
        for read in node.inputs:
            placed = written in plan.offsets and read in plan.offsets
            if placed and meet(_area(plan, written), _area(plan, read)):
                raise InternalError(f"parts of {node.name} would overwrite {read}")


def _area(plan: Plan, value: Value) -> range:
    """The bytes of a value; of one that is line-buffered as if all of its rows lay there."""
    return range(plan.offsets[value], plan.offsets[value] + value.type.nbytes)
