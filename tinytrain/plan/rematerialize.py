"""Parts of the forward pass that run again in the backward pass: what they save need not wait.

A *part* is a run of forward nodes between two places where a single map is handed on. Where it runs
again, that map waits for the backward pass in the place of everything that the part saves. The
nodes that run again are the same nodes on the same values, so every bit stays: no parameter that
they read has been updated by then.

Sources: Chen et al., "Training Deep Nets with Sublinear Memory Cost", 2016, for the idea; Jain et
al., "Checkmate: Breaking the Memory Wall with Optimal Tensor Rematerialization", MLSys 2020, for
choosing what to compute again by its cost within a budget.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops_training import TRAINING_ONLY, loss_index
from tinytrain.ir.ops_update import replaced

AGAIN = "_again"
"""What the names of nodes and values that are there for the second time end in."""


@dataclass(frozen=True, order=True)
class Part:
    """Forward nodes [first, end) of a scheduled graph."""

    first: int
    end: int

    def meets(self, other: Part) -> bool:
        """Whether they share a node."""
        return self.first < other.end and other.first < self.end


def parts(graph: Graph, start: int, most: int | None = None) -> list[Part]:
    """The parts that may run again, by their first node and then by their last.

    They begin and end where a smaller map is handed on than at the places around, and one alone.

    Args:
        start: the first node that may be in one; those before it are frozen.
        most: how many there may be; of more, those remain that begin and end at places apart.
    """
    cuts = _cuts(graph, start)
    while most is not None and len(cuts) > 2 and math.comb(len(cuts), 2) > most:
        nearest = min(range(1, len(cuts) - 1), key=lambda k: cuts[k + 1] - cuts[k - 1])
        del cuts[nearest]
    found = [Part(a, b) for k, a in enumerate(cuts) for b in cuts[k + 1 :]]
    return [part for part in found if _saved(graph, part)]


def _cuts(graph: Graph, start: int) -> list[int]:
    loss = loss_index(graph)
    last: dict[Value, int] = {}
    for index, node in enumerate(graph.nodes[:loss]):
        for value in (*node.inputs, *node.outputs):
            if node.op not in TRAINING_ONLY:
                last[value] = index
    known = {*graph.constants, *graph.parameters}
    open_: set[Value] = set(graph.inputs)
    handed: dict[int, int] = {}
    for index, node in enumerate(graph.nodes[:loss]):
        open_ = {value for value in open_ if last.get(value, -1) >= index}
        if index >= start and len(open_) == 1 and node.op not in TRAINING_ONLY:
            handed[index] = next(iter(open_)).type.nbytes
        if node.op == "merge_channels":
            known.update(node.outputs)
        elif node.op not in TRAINING_ONLY:
            open_.update(value for value in node.outputs if value not in known)
    places = list(handed)
    sizes = [handed[place] for place in places]
    return [
        place for k, place in enumerate(places) if sizes[k] <= min(sizes[max(k - 1, 0) : k + 2])
    ]


def _saved(graph: Graph, part: Part) -> set[Value]:
    """What a part leaves for the backward pass; views of weights aside, which take no place."""
    made = {
        value
        for node in graph.nodes[part.first : part.end]
        if node.op != "merge_channels"
        for value in node.outputs
    }
    after = graph.nodes[loss_index(graph) + 1 :]
    return {value for node in after for value in node.inputs if value in made}


def again_nodes(graph: Graph, part: Part) -> list[Node]:
    """The nodes of a part that run again: those that what it saves is made from."""
    return _made_from(graph, part, _saved(graph, part))


def again_of(graph: Graph) -> Mapping[str, str]:
    """For each node that runs for the second time, the one that it repeats; by name."""
    return graph.rematerialized


def _made_from(graph: Graph, part: Part, saved: set[Value]) -> list[Node]:
    wanted = set(saved)
    found = []
    for node in reversed(graph.nodes[part.first : part.end]):
        if node.op != "merge_channels" and any(value in wanted for value in node.outputs):
            found.append(node)
            wanted.update(node.inputs)
    return found[::-1]


def repeated(graph: Graph, chosen: Iterable[Part]) -> Graph:
    """The graph with parts that run again, each right before it is needed.

    Args:
        graph: scheduled.
        chosen: parts that share no node.
    """
    before: dict[str, list[Node]] = {}
    renamed: dict[Value, Value] = {}
    repeats: dict[str, str] = {}
    loss = loss_index(graph)
    # A node may be called like the value that it writes.
    values = {value.name for value in graph.values()}
    nodes = {node.name for node in graph.nodes}
    for part in chosen:
        saved = _saved(graph, part)
        again = _made_from(graph, part, saved)
        names = {
            value: Value(_fresh(value.name, values), value.type)
            for node in again
            for value in node.outputs
        }
        read = {value for node in again for value in node.inputs}
        place = next(
            node
            for node in graph.nodes[loss + 1 :]
            if not saved.isdisjoint(node.inputs) or any(old in read for old, _ in replaced(node))
        )
        for node in again:
            name = _fresh(node.name, nodes)
            outputs = tuple(names[value] for value in node.outputs)
            twin = replace(_reading(node, names), outputs=outputs, name=name)
            before.setdefault(place.name, []).append(twin)
            repeats[name] = node.name
        renamed |= names
    rest = [_reading(node, renamed) for node in graph.nodes[loss:]]
    rest = [item for node in rest for item in (*before.get(node.name, ()), node)]
    forward = _without_unread(graph.nodes[:loss], rest, graph.outputs)
    return replace(graph, nodes=(*forward, *rest), rematerialized=repeats)


def _fresh(name: str, taken: set[str]) -> str:
    """What the second one is called; nothing else is from then on."""
    while (name := name + AGAIN) in taken:
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
    """Forward nodes whose results somebody reads."""
    read = {*outputs, *(value for node in rest for value in node.inputs)}
    kept = []
    for node in reversed(forward):
        if any(value in read for value in node.outputs):
            kept.append(node)
            read.update(node.inputs)
    return kept[::-1]
