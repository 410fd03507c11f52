"""Rematerialization: parts of the forward pass run a second time in the backward pass.

A *part* is a run of forward nodes between two places where exactly one map is passed on. If a part
is rematerialized, only that map waits for the backward pass, instead of everything that the part
saves. The second run has the same nodes and the same values, so every bit stays the same: none of
the parameters that they read has been updated by then.

Sources: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, for the idea; Jain et
al., "Checkmate: Breaking the Memory Wall with Optimal Tensor Rematerialization", MLSys 2020, for
choosing by cost what to compute again within a budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import loss_index, replaced, role_of
from tinytrain.ir.ops import Role

SUFFIX = "_again"
"""Ending of the names of rematerialized nodes and values."""


@dataclass(frozen=True, order=True)
class ForwardPart:
    """Forward nodes [first, end) of a scheduled graph."""

    first: int
    end: int

    def meets(self, other: ForwardPart) -> bool:
        """Whether two parts share a node."""
        return self.first < other.end and other.first < self.end


def parts(graph: Graph, start: int, most: int | None = None) -> list[ForwardPart]:
    """The parts that can be rematerialized, ordered by their first node, then by their last.

    They begin and end where exactly one map is passed on, one that is no larger than those passed
    on at the places before and after.

    Args:
        start: index of the first node that may be in a part; those before it are frozen.
        most: the most parts to return; of more, the places that lie closest together are dropped.
    """
    cuts = _cuts(graph, start)
    while most is not None and len(cuts) > 2 and math.comb(len(cuts), 2) > most:
        nearest = min(range(1, len(cuts) - 1), key=lambda k: cuts[k + 1] - cuts[k - 1])
        del cuts[nearest]
    found = [ForwardPart(a, b) for k, a in enumerate(cuts) for b in cuts[k + 1 :]]
    return [part for part in found if _saved(graph, part)]


def _cuts(graph: Graph, start: int) -> list[int]:
    loss = loss_index(graph)
    last: dict[Value, int] = {}
    for index, node in enumerate(graph.nodes[:loss]):
        for value in (*node.inputs, *node.outputs):
            if role_of(node) is not Role.TRAINING:
                last[value] = index
    known = {*graph.constants, *graph.parameters}
    open_: set[Value] = set(graph.inputs)
    handed: dict[int, int] = {}
    for index, node in enumerate(graph.nodes[:loss]):
        open_ = {value for value in open_ if last.get(value, -1) >= index}
        if index >= start and len(open_) == 1 and role_of(node) is not Role.TRAINING:
            handed[index] = next(iter(open_)).type.nbytes
        if role_of(node) is Role.VIEW:
            known.update(node.outputs)
        elif role_of(node) is not Role.TRAINING:
            open_.update(value for value in node.outputs if value not in known)
    places = list(handed)
    sizes = [handed[place] for place in places]
    return [
        place for k, place in enumerate(places) if sizes[k] <= min(sizes[max(k - 1, 0) : k + 2])
    ]


def _saved(graph: Graph, part: ForwardPart) -> set[Value]:
    """What a part leaves for the backward pass, without views of weights, which take no memory."""
    made = {
        value
        for node in graph.nodes[part.first : part.end]
        if role_of(node) is not Role.VIEW
        for value in node.outputs
    }
    after = graph.nodes[loss_index(graph) + 1 :]
    return {value for node in after for value in node.inputs if value in made}


def rematerialized_nodes(graph: Graph, part: ForwardPart) -> list[Node]:
    """The nodes of a part that run a second time: those that compute what the part saves."""
    return _made_from(graph, part, _saved(graph, part))


def _made_from(graph: Graph, part: ForwardPart, saved: set[Value]) -> list[Node]:
    wanted = set(saved)
    found = []
    for node in reversed(graph.nodes[part.first : part.end]):
        if role_of(node) is not Role.VIEW and any(value in wanted for value in node.outputs):
            found.append(node)
            wanted.update(node.inputs)
    return found[::-1]


def rematerialized(graph: Graph, chosen: Iterable[ForwardPart]) -> Graph:
    """The graph with some parts rematerialized, each right before the first node that needs it.

    Args:
        graph: scheduled.
        chosen: parts that share no node.
    """
    before: dict[str, list[Node]] = {}
    renamed: dict[Value, Value] = {}
    originals: dict[str, str] = {}
    loss = loss_index(graph)
    # A node may be called like the value that it writes.
    values = {value.name for value in graph.values()}
    nodes = {node.name for node in graph.nodes}
    for part in chosen:
        saved = _saved(graph, part)
        second = _made_from(graph, part, saved)
        names = {
            value: Value(_fresh(value.name, values), value.type)
            for node in second
            for value in node.outputs
        }
        read = {value for node in second for value in node.inputs}
        place = next(
            node
            for node in graph.nodes[loss + 1 :]
            if not saved.isdisjoint(node.inputs) or any(old in read for old, _ in replaced(node))
        )
        for node in second:
            name = _fresh(node.name, nodes)
            outputs = tuple(names[value] for value in node.outputs)
            twin = replace(_reading(node, names), outputs=outputs, name=name)
            before.setdefault(place.name, []).append(twin)
            originals[name] = node.name
        renamed |= names
    rest = [_reading(node, renamed) for node in graph.nodes[loss:]]
    rest = [item for node in rest for item in (*before.get(node.name, ()), node)]
    forward = _without_unread(graph.nodes[:loss], rest, graph.outputs)
    return replace(graph, nodes=(*forward, *rest), rematerialized=originals)


def _fresh(name: str, taken: set[str]) -> str:
    """An unused name for the second run of a node or value; it is used from then on."""
    while (name := name + SUFFIX) in taken:
        pass
    taken.add(name)
    return name


def _reading(node: Node, names: Mapping[Value, Value]) -> Node:
    if not any(value in names for value in node.inputs):
        return node
    return replace(node, inputs=tuple(names.get(value, value) for value in node.inputs))


def _without_unread(
    forward: Sequence[Node], rest: Sequence[Node], outputs: Sequence[Value]
) -> list[Node]:
    """The forward nodes whose results are read."""
    read = {*outputs, *(value for node in rest for value in node.inputs)}
    kept = []
    for node in reversed(forward):
        if any(value in read for value in node.outputs):
            kept.append(node)
            read.update(node.inputs)
    return kept[::-1]
