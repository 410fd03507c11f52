"""Schedules the nodes: puts them in the order in which the device runs them.

The order of the graph is kept, but nodes that free memory run as early as possible: an update once
its gradient exists and the last reader of the old parameter has run, a mask or a selection of
channels of an activation once the activation exists. If another order of the forward nodes, or of
the backward nodes, needs less memory, it is taken.

Every order gives the same bits. Nodes only compute their outputs from their inputs, with two
exceptions. An update overwrites its parameter, so the readers of the parameter stay before it. And
each update has a generator of random numbers that is seeded by its place among the updates
(docs/arithmetic.md section 6), so the updates keep their order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from heapq import heappop, heappush
from itertools import pairwise
from typing import ClassVar

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import frozen_count, replaced, role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.isa import ISAS
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.liveness import storages
from tinytrain.plan.order import OrderSearch
from tinytrain.plan.place import live_bytes


@dataclass(frozen=True)
class ScheduleNodes:
    """Moves eager nodes forward, then looks for an order with a smaller peak of live bytes."""

    name: ClassVar[str] = "schedule"
    summary: ClassVar[str] = (
        "moves updates and masks as early as they may run, and orders branches for least memory"
    )

    def __call__(self, graph: Graph) -> Graph:
        return _smaller(self.plain(graph))

    def plain(self, graph: Graph) -> Graph:
        """With eager nodes moved forward; all others keep their order."""
        waiting = _Waiting(graph)
        order: list[Node] = []
        for node in graph.nodes:
            if not _is_eager(node):
                order.append(node)
                order += waiting.after(node)
        return replace(graph, nodes=(*order, *waiting.rest()))


class _Waiting:
    """The eager nodes of a graph, each with what it still waits for: values, and readers of the
    parameter that it overwrites."""

    def __init__(self, graph: Graph) -> None:
        readers = parameter_readers(graph)
        known = {*graph.inputs, *graph.constants, *graph.parameters}
        self._nodes = {k: node for k, node in enumerate(graph.nodes) if _is_eager(node)}
        self._missing: dict[int, int] = {}
        self._waits: dict[Value | str, list[int]] = {}
        for k, node in self._nodes.items():
            awaited: set[Value | str] = {value for value in node.inputs if value not in known}
            awaited |= readers.get(node.name, set())
            self._missing[k] = len(awaited)
            for key in awaited:
                self._waits.setdefault(key, []).append(k)
        self._ready = [k for k, missing in self._missing.items() if missing == 0]

    def after(self, node: Node) -> Iterator[Node]:
        """The eager nodes that can run now that a node has, the first of the graph first."""
        self._done(node)
        while self._ready:
            eager = self._nodes.pop(heappop(self._ready))
            yield eager
            self._done(eager)

    def rest(self) -> Iterable[Node]:
        """Those that could not run after any node."""
        return self._nodes.values()

    def _done(self, node: Node) -> None:
        written: tuple[Value | str, ...] = (node.name, *node.outputs)
        for key in written:
            for k in self._waits.get(key, ()):
                self._missing[k] -= 1
                if self._missing[k] == 0:
                    heappush(self._ready, k)


def _is_eager(node: Node) -> bool:
    return role_of(node) in (Role.UPDATE, Role.TRAINING)


def parameter_readers(graph: Graph) -> dict[str, set[str]]:
    """For each node that writes a parameter, the nodes that read the old one and run before it."""
    users = graph.users()
    before: dict[str, set[str]] = {}
    for writer in graph.nodes:
        for old, _ in replaced(writer):
            readers = list(users.get(old, ()))
            for view in users.get(old, ()):
                if role_of(view) is Role.VIEW:
                    readers += users.get(view.output, ())
            names = {node.name for node in readers if node is not writer}
            before.setdefault(writer.name, set()).update(names)
    return before


def movable(graph: Graph) -> list[range]:
    """Spans of nodes that may be reordered, each by itself.

    They are the forward nodes after the frozen ones, and the backward nodes. The frozen nodes keep
    their order, as their outputs are cached as a whole; the loss and the quantization of its
    gradient stay together, and the nodes that apply accumulated gradients come last.
    """
    roles = [role_of(node) for node in graph.nodes]
    loss = next((k for k, role in enumerate(roles) if role is Role.LOSS), len(roles))
    apply = next((k for k, role in enumerate(roles) if role is Role.APPLY), len(roles))
    return [range(frozen_count(graph, graph.nodes[:loss]), loss), range(loss + 2, apply)]


def fixed_pairs(graph: Graph) -> list[tuple[int, int]]:
    """Pairs of indices of nodes that must keep their order although no value demands it."""
    index = {node.name: k for k, node in enumerate(graph.nodes)}
    pairs = [
        (index[reader], index[writer])
        for writer, readers in parameter_readers(graph).items()
        for reader in sorted(readers)
        if index[reader] < index[writer]
    ]
    return pairs + list(pairwise(k for k, n in enumerate(graph.nodes) if traits_of(n).overwrites))


def _smaller(graph: Graph) -> Graph:
    """The graph in an order that needs less memory on some core, and more on none."""
    for span in movable(graph):
        peaks = _peaks(graph, span)
        # One order for all cores: the hash of the model, which saved files carry, depends on it.
        found = [other for isa in ISAS if (other := _reordered(graph, span, isa)) is not None]
        found = [
            o for o in found if all(a <= b for a, b in zip(_peaks(o, span), peaks, strict=True))
        ]
        graph = min([graph, *found], key=lambda other: sum(_peaks(other, span)))
    return graph


def _peaks(graph: Graph, span: range) -> list[int]:
    """The largest sum of live bytes within a span of nodes, for each instruction set."""
    return [
        max(live_bytes(storages(graph, choose_kernels(graph, isa)), span), default=0)
        for isa in ISAS
    ]


def _reordered(graph: Graph, span: range, isa: str) -> Graph | None:
    choices = choose_kernels(graph, isa)
    budget = max(live_bytes(storages(graph, choices), span), default=0)
    order = OrderSearch(graph, span, fixed_pairs(graph), choices).better_order(budget)
    if order is None:
        return None
    nodes = list(graph.nodes)
    nodes[span.start : span.stop] = [graph.nodes[span.start + k] for k in order]
    return replace(graph, nodes=tuple(nodes))
