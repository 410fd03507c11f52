"""Which parts of the forward pass run again, so that a step keeps within a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tinytrain.ir.graph import Graph
from tinytrain.plan.kernels import Choice
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes
from tinytrain.plan.recompute import AGAIN, Part, again_nodes, parts, repeated

_SHARES = (0.8, 0.95, 0.99)
"""Of a limit that was kept, the next one that is tried."""


@dataclass(frozen=True)
class Repeats:
    """Parts that run again, and what they bring.

    Attributes:
        parts: in the order of the forward pass; they share no node.
        graph: with them.
        bound: bytes that the node needs that needs most.
        cost: instructions of a step that they cost, estimated.
    """

    parts: tuple[Part, ...]
    graph: Graph
    bound: int
    cost: int


@dataclass
class RepeatSearch:
    """Tries parts one after another, the one that brings most first; what it meets it replaces.

    Args:
        graph: scheduled.
        choices: the kernels of its nodes, by name.
        extra: bytes that a node needs beside values, or can do with less, by name.
        start: the first node that may run again; those before it are somebody else's.
        most: instructions that may be spent.
    """

    graph: Graph
    choices: Mapping[str, Choice]
    extra: Mapping[str, int]
    start: int
    most: int
    _known: dict[tuple[Part, ...], tuple[Repeats, tuple[int, ...]]] = field(default_factory=dict)

    @cached_property
    def _parts(self) -> list[Part]:
        return parts(self.graph, self.start)

    def _with(self, chosen: tuple[Part, ...]) -> tuple[Repeats, tuple[int, ...]]:
        if chosen not in self._known:
            graph = repeated(self.graph, chosen)
            levels = self._levels(graph)
            again = [node.name for part in chosen for node in again_nodes(self.graph, part)]
            cost = sum(self.choices[name].cost for name in again if name in self.choices)
            self._known[chosen] = Repeats(chosen, graph, max(levels), cost), levels
        return self._known[chosen]

    def _levels(self, graph: Graph) -> tuple[int, ...]:
        """What each node needs at least; nothing for those before the first that is looked at."""
        names = [node.name.removesuffix(AGAIN) for node in graph.nodes]
        choices = {
            node.name: self.choices[name]
            for node, name in zip(graph.nodes, names, strict=True)
            if name in self.choices
        }
        values = [item for item in storages(graph, choices) if item.values]
        live = live_bytes(values, range(len(names)))
        extra = [self.extra[name] for name in names]
        return (0,) * self.start + tuple(
            bytes_ + more for bytes_, more in zip(live, extra, strict=True)
        )[self.start :]

    def _neighbours(self, chosen: tuple[Part, ...]) -> list[tuple[Part, ...]]:
        """One part more, in the place of those that share nodes with it; or one part less."""
        more = [
            tuple(sorted([part, *(other for other in chosen if not other.meets(part))]))
            for part in self._parts
            if part not in chosen
        ]
        return more + [tuple(p for p in chosen if p != part) for part in chosen]

    def within(self, limit: int) -> Repeats | None:
        """Parts with which no node needs more than a limit, for few instructions; None if none are
        found.

        Each time the neighbour is taken whose excess over the limit, summed over all nodes, falls
        most for what it costs, or in another try falls most whatever it costs; at last what turned
        out not to be needed goes again.
        """
        tries = [self._descent(limit, by_cost=by_cost) for by_cost in (True, False)]
        found = [self._leaner(chosen, limit) for chosen in tries if chosen is not None]
        repeats = [self._with(chosen)[0] for chosen in found]
        return min(repeats, key=lambda one: (one.cost, one.bound), default=None)

    def _descent(self, limit: int, *, by_cost: bool) -> tuple[Part, ...] | None:
        chosen: tuple[Part, ...] = ()
        while (left := self._excess(chosen, limit)) > 0:
            now = self._with(chosen)[0].cost
            better = []
            for other in self._neighbours(chosen):
                spent = self._with(other)[0].cost
                gained = left - self._excess(other, limit)
                if spent <= self.most and gained > 0:
                    better.append((gained / max(spent - now, 1) if by_cost else gained, other))
            if not better:
                return None
            chosen = max(better, key=lambda pair: pair[0])[1]
        return chosen

    def smallest(self) -> Repeats:
        """Parts with which the node that needs most needs little: the limit falls until none are
        found that keep it."""
        found = self._with(())[0]
        for share in _SHARES:
            while (less := self.within(round(found.bound * share))) is not None:
                found = less
        return found

    def _excess(self, chosen: tuple[Part, ...], limit: int) -> int:
        return sum(max(level - limit, 0) for level in self._with(chosen)[1])

    def _leaner(self, chosen: tuple[Part, ...], limit: int) -> tuple[Part, ...]:
        while True:
            found = [
                other
                for other in self._neighbours(chosen)
                if self._with(other)[0].cost < self._with(chosen)[0].cost
                and self._excess(other, limit) == 0
            ]
            if not found:
                return chosen
            chosen = min(found, key=lambda other: self._with(other)[0].cost)
