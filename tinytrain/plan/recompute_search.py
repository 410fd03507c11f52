"""Which parts of the forward pass run again, so that a step keeps within a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from tinytrain.ir.graph import Graph
from tinytrain.plan.kernels import Choice
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes
from tinytrain.plan.recompute import Part, again_of, parts, repeated

_SHARES = (0.8, 0.95, 0.99)
"""Of a limit that was kept, the next one that is tried."""

Chosen = tuple[Part, ...]
"""In the order of the forward pass; they share no node."""


@dataclass(frozen=True)
class Repeats:
    """Parts that run again, and what they bring.

    Attributes:
        graph: with them.
        live: bytes of values that are live at each of its nodes.
        cost: instructions of a step that they cost, estimated.
    """

    parts: Chosen
    graph: Graph
    live: tuple[int, ...]
    cost: int


@dataclass
class Candidates:
    """A scheduled graph with any parts that run again; each is worked out once.

    Args:
        choices: the kernels of its nodes, by name.
        start: the first node that may run again; those before it are somebody else's.
    """

    graph: Graph
    choices: Mapping[str, Choice]
    start: int
    _known: dict[Chosen, Repeats] = field(default_factory=dict)

    @cached_property
    def parts(self) -> list[Part]:
        """All that may run again."""
        return parts(self.graph, self.start)

    def of(self, chosen: Chosen) -> Repeats:
        """With some of them."""
        if chosen not in self._known:
            graph = repeated(self.graph, chosen)
            again = {
                twin: self.choices[name]
                for twin, name in again_of(graph).items()
                if name in self.choices
            }
            values = [item for item in storages(graph, {**self.choices, **again}) if item.values]
            live = tuple(live_bytes(values, range(len(graph.nodes))))
            cost = sum(choice.cost for choice in again.values())
            self._known[chosen] = Repeats(chosen, graph, live, cost)
        return self._known[chosen]


@dataclass
class RepeatSearch:
    """Tries parts one after another, the one that brings most first; what it meets it replaces.

    Args:
        candidates: what there is to choose from.
        extra: bytes that a node needs beside values, or can do with less, by name.
        most: instructions that may be spent.
    """

    candidates: Candidates
    extra: Mapping[str, int]
    most: int
    _known: dict[Chosen, tuple[int, ...]] = field(default_factory=dict)

    def _levels(self, chosen: Chosen) -> tuple[int, ...]:
        """What each node needs; those before the first that may run again are not looked at."""
        if chosen not in self._known:
            repeats, start = self.candidates.of(chosen), self.candidates.start
            again = again_of(repeats.graph)
            self._known[chosen] = tuple(
                live + self.extra[again.get(node.name, node.name)]
                for node, live in zip(
                    repeats.graph.nodes[start:], repeats.live[start:], strict=True
                )
            )
        return self._known[chosen]

    def _neighbours(self, chosen: Chosen) -> list[Chosen]:
        """One part more, in the place of those that share nodes with it; or one part less."""
        more = [
            tuple(sorted([part, *(other for other in chosen if not other.meets(part))]))
            for part in self.candidates.parts
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
        best = min(
            found,
            key=lambda chosen: (self.candidates.of(chosen).cost, max(self._levels(chosen))),
            default=None,
        )
        return None if best is None else self.candidates.of(best)

    def _descent(self, limit: int, *, by_cost: bool) -> Chosen | None:
        chosen: Chosen = ()
        while (left := self._excess(chosen, limit)) > 0:
            now = self.candidates.of(chosen).cost
            better = []
            for other in self._neighbours(chosen):
                spent = self.candidates.of(other).cost
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
        found = self.candidates.of(())
        for share in _SHARES:
            while (less := self.within(round(max(self._levels(found.parts)) * share))) is not None:
                found = less
        return found

    def _excess(self, chosen: Chosen, limit: int) -> int:
        return sum(max(level - limit, 0) for level in self._levels(chosen))

    def _leaner(self, chosen: Chosen, limit: int) -> Chosen:
        while True:
            found = [
                other
                for other in self._neighbours(chosen)
                if self.candidates.of(other).cost < self.candidates.of(chosen).cost
                and self._excess(other, limit) == 0
            ]
            if not found:
                return chosen
            chosen = min(found, key=lambda other: self.candidates.of(other).cost)
