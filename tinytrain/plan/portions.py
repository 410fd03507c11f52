"""A training step in portions: how each of its nodes is cut so that no part takes long.

A part of a node is a call of the node's own kernel for some positions, rows or channels. What a
kernel sums up is summed up in one call, in the same order, so the cuts change no bit of a result.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import loss_index
from tinytrain.kernel.choose import cost_within
from tinytrain.kernel.nodes import work_of
from tinytrain.kernel.rough import rough_cost
from tinytrain.kernel.work import Work
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.cuts import NodeCut, Portions
from tinytrain.plan.holes import holes
from tinytrain.plan.place import aligned
from tinytrain.plan.plan import Plan
from tinytrain.plan.portion_cuts import Extent, extents_of
from tinytrain.plan.proof.portions import check_portions
from tinytrain.plan.tiling import ChannelTiling

MOST_PARTS = 65_535
"""Of a node: parts are counted in 16 bits."""

_MARGIN = 0.75
"""Nodes are cut to so much of the share: a kernel takes up to a third more than estimated."""

_CALL = 60
"""Instructions around a portion: finding it, and its arguments."""


def cut_step(plan: Plan, share: float) -> Portions | None:
    """Cuts a planned step, and proves that it may be cut; None where `share` is 0.

    Args:
        share: of a step's instructions, at most 1. A node that no kernel can do in parts as small
            as this stays as large as its smallest.
    """
    if not share:
        return None
    graph = plan.graph
    inside = _groups(plan)
    total = sum(instructions_of(plan, node) for node in graph.nodes)
    limit = _MARGIN * share * total
    loss = loss_index(graph)
    cuts: dict[str, NodeCut] = {}
    for index, node in enumerate(graph.nodes):
        if index in (loss, loss + 1) and graph.parameters:
            continue
        if index in inside:
            group = inside[index]
            if group.first == index:
                cuts[node.name] = _group_cut(plan, group)
            for name in _deferred(graph, group, index):
                cuts[name] = _cut(plan, next(n for n in graph.nodes if n.name == name), limit)
        else:
            cuts[node.name] = _cut(plan, node, limit)
    if graph.parameters:
        both = graph.nodes[loss : loss + 2]
        cuts[both[0].name] = _whole(sum(instructions_of(plan, node) for node in both))
    portions = Portions(cuts)
    check_portions(plan, portions)
    return portions


def instructions_of(plan: Plan, node: Node) -> int:
    """Estimated instructions of a node as a whole."""
    choice = plan.choices.get(node.name)
    return round(rough_cost(node)) if choice is None else choice.cost


def _whole(cost: float) -> NodeCut:
    return NodeCut("whole", (1,), 1, round(cost) + _CALL)


def _groups(plan: Plan) -> dict[int, LineBufferedChain | ChannelTiling]:
    """What runs in one loop, by the index of each of its nodes."""
    groups: list[LineBufferedChain | ChannelTiling] = [*plan.chains, *plan.tilings]
    return {index: group for group in groups for index in range(group.first, group.last + 1)}


def _deferred(graph: Graph, group: LineBufferedChain | ChannelTiling, index: int) -> Iterator[str]:
    """The nodes of a tiling that run after its loop."""
    if isinstance(group, ChannelTiling) and index == group.last:
        nodes = graph.nodes[group.first : group.last + 1]
        yield from (node.name for node in nodes if node.name in group.deferred)


def _group_cut(plan: Plan, group: LineBufferedChain | ChannelTiling) -> NodeCut:
    nodes = plan.graph.nodes[group.first : group.last + 1]
    if isinstance(group, ChannelTiling):
        own = [node for node in nodes if node.name not in group.deferred]
        cost = sum(instructions_of(plan, node) for node in own) / group.count
        return NodeCut("tiles", (group.channels,), group.size, round(cost) + _CALL)
    if group.feed is not None:
        return _whole(0)
    rows = [node.output.type.shape[1] for node in nodes]
    costs = [
        sum(
            instructions_of(plan, node) * stripes[step].rows / height
            for node, stripes, height in zip(nodes, group.stripes, rows, strict=True)
        )
        for step in range(group.steps)
    ]
    return NodeCut("steps", (group.steps,), 1, round(max(costs)) + _CALL)


def _cut(plan: Plan, node: Node, limit: float) -> NodeCut:
    """The cheapest cut that keeps to the limit; where none does, the one with the least parts."""
    whole = _whole(instructions_of(plan, node))
    if whole.cost <= limit:
        return whole
    found = [whole]
    for extent in extents_of(plan.graph, node, in_place=_is_in_place(plan, node)):
        cut = _largest(plan, node, extent, limit)
        if cut is not None:
            found.append(cut)
    within = [cut for cut in found if cut.cost <= limit]
    if within:
        return min(within, key=lambda cut: cut.instructions)
    return min(found, key=lambda cut: cut.cost)


def _is_in_place(plan: Plan, node: Node) -> bool:
    offsets = {plan.offsets.get(value) for value in node.inputs} - {None}
    return plan.offsets.get(node.outputs[0]) in offsets


def _largest(plan: Plan, node: Node, extent: Extent, limit: float) -> NodeCut | None:
    """The fewest parts of a kind that keep to the limit, or the most that there are."""
    most = max(extent.sizes)
    last = None
    parts = 2
    while parts <= MOST_PARTS:
        size = min(most, ceil(most / parts / extent.quantum) * extent.quantum)
        cut = _of_size(plan, node, extent, size) if size < most or extent.sizes[1:] else None
        last = cut or last
        if cut is not None and cut.cost <= limit:
            return cut
        if size <= extent.quantum:
            break
        # The next smaller size.
        parts = max(parts + 1, ceil(most / (size - extent.quantum)))
    return last


def _of_size(plan: Plan, node: Node, extent: Extent, size: int) -> NodeCut | None:
    """Parts of a size; None where the kernel, or what is free in the arena, does not allow them."""
    nbytes = aligned(extent.copied * size) if extent.copied else 0
    copy = _free_place(plan, node, nbytes) if nbytes else None
    if nbytes and copy is None:
        return None
    copies = 2 * extent.copied * size if nbytes else 0
    cost = _part_cost(plan, node, extent, size)
    if cost is None:
        return None
    return NodeCut(extent.kind, extent.sizes, size, round(cost + copies) + _CALL, copy, nbytes)


def _part_cost(plan: Plan, node: Node, extent: Extent, size: int) -> float | None:
    work = work_of(plan.graph, node)
    if work is None:
        return instructions_of(plan, node) * size / sum(extent.sizes)
    choice = plan.choices[node.name]
    costs = [
        None if part is None else cost_within(choice.kernel, part, plan.isa, choice.workspace)
        for part in _part_works(work, extent, size)
    ]
    known = [cost for cost in costs if cost is not None]
    return max(known) if known and len(known) == len(costs) else None


def _part_works(work: Work, extent: Extent, size: int) -> list[Work | None]:
    """What is asked for each part that differs from the others."""
    found: dict[Work | None, None] = {}
    for whole in extent.sizes:
        for first in range(0, whole, size):
            found[extent.part(work, first, min(size, whole - first))] = None
    return list(found)


def _free_place(plan: Plan, node: Node, nbytes: int) -> int | None:
    """The first place of the arena where nothing lies while a node runs; None if there is none."""
    index = next(k for k, other in enumerate(plan.graph.nodes) if other is node)
    return next((start for start, free in holes(plan, index) if free >= nbytes), None)
