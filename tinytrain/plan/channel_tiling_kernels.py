"""Chooses a kernel for each node that runs slice by slice: one for all slices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinytrain.ir.graph import Graph, Node
from tinytrain.kernel.choose import Choice, choose, narrower
from tinytrain.kernel.work import Work, is_depthwise, work_of
from tinytrain.plan.channel_tiling import Slices
from tinytrain.plan.place import aligned

_CALL = 40
"""Instructions around a call for a slice: its arguments move along."""
_SUMMED = 6
"""Instructions for an element of sums that a slice adds to."""
_ROUNDED = 18
"""Instructions for an element of sums that is rounded behind the loop."""


def choose_for_slices(
    graph: Graph, slices: Slices, isa: str, limits: Mapping[str, int] | None = None
) -> dict[str, Choice]:
    """The kernel of each node of a run that has a choice, by node name.

    Args:
        limits: the most scratch that a node may take, in bytes, by node name.
    """
    choices = {}
    for node in slices.nodes(graph):
        work = slice_work(graph, node, slices)
        if work is not None:
            limit = (limits or {}).get(node.name)
            if limit is not None:
                limit -= copied(node, slices)
            choices[node.name] = _of_all(node, slices, choose(work, isa, limit))
    return choices


def narrower_for_slices(graph: Graph, node: Node, slices: Slices, isa: str) -> list[Choice]:
    """What else may be chosen for one of them with less scratch, the largest first."""
    work = slice_work(graph, node, slices)
    if work is None:
        return []
    return [_of_all(node, slices, choice) for choice in narrower(work, isa)]


def copied(node: Node, slices: Slices) -> int:
    """Bytes of scratch that hold a slice of a saved activation, whose channels lie apart."""
    if node.op != "conv2d_grad_weight_sgd" or not is_depthwise(node):
        return 0
    return aligned(node.inputs[0].type.nbytes // slices.count)


def slice_work(graph: Graph, node: Node, slices: Slices) -> Work | None:
    """What one call for a slice asks of its kernel."""
    work = work_of(graph, node)
    if work is None:
        return None
    size = slices.size
    if node.op in ("grad_clamp", "bias_grad_sgd"):
        return replace(work, count=size)
    if is_depthwise(node):
        return replace(work, in_c=size, out_c=size, groups=size, count=size)
    if node.outputs[0] in slices.wide:
        return replace(work, in_c=size, segments=(size,), step=slices.channels)
    return replace(work, out_c=size)


def _of_all(node: Node, slices: Slices, choice: Choice) -> Choice:
    """The choice for a slice as one for the whole run."""
    calls = slices.count
    if node.op == "grad_clamp":
        # The channels of a slice lie together at one position, not at the next.
        _, height, width, _ = node.output.type.shape
        calls *= height * width
    besides = 0
    if slices.is_total(node):
        besides = node.outputs[0].type.size * (_SUMMED * slices.count + _ROUNDED)

    def whole(cost: int) -> int:
        return calls * (cost + _CALL) + besides

    return replace(
        choice,
        scratch=choice.scratch + copied(node, slices),
        cost=whole(choice.cost),
        considered={name: whole(cost) for name, cost in choice.considered.items()},
    )
