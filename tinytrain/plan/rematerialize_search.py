"""Which parts of the forward pass run again, so that a step keeps within a limit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import Choice
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes
from tinytrain.plan.rematerialize import Part, again_nodes, again_of, parts, repeated

_SHARES = (0.8, 0.95, 0.99)
"""Of a limit that was kept, the next one that is tried."""

_TRIED = 24
"""Changes that are worked out before one is made: those that promise most."""

_WORK = 300_000
"""Nodes of graphs that one search may work out: some 10 seconds. It is counted, so that the same
model gets the same plan on every machine."""

_PASSES = 3
"""How often that is enough to try each part."""

Chosen = tuple[Part, ...]
"""In the order of the forward pass; they share no node."""


@dataclass(frozen=True)
class Repeats:
    """Parts that run again, and what they bring.

    Attributes:
        graph: with them.
        live: bytes of values that are live at each of its nodes.
    """

    parts: Chosen
    graph: Graph
    live: tuple[int, ...]


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
    _worked: int = 0

    @cached_property
    def parts(self) -> list[Part]:
        """All that may run again, or of a deep network as many as there is time to try."""
        nodes = len(self.graph.nodes)
        return parts(self.graph, self.start, most=max(_WORK // (_PASSES * nodes), 1))

    @cached_property
    def _costs(self) -> Mapping[Part, int]:
        costs = {name: choice.cost for name, choice in self.choices.items()}
        return {
            part: sum(costs.get(node.name, 0) for node in again_nodes(self.graph, part))
            for part in self.parts
        }

    def cost(self, chosen: Chosen) -> int:
        """Instructions of a step that some of them cost, estimated."""
        return sum(self._costs[part] for part in chosen)

    @property
    def exhausted(self) -> bool:
        """Whether all the work is done that a search may do."""
        return self._worked >= _WORK

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
            self._worked += len(graph.nodes)
            self._known[chosen] = Repeats(chosen, graph, live)
        return self._known[chosen]


@dataclass(frozen=True)
class _Effect:
    """What a part changes by itself, in bytes.

    Attributes:
        change: at each node of the scheduled graph.
        place: the node before which it runs again.
        again: what each of its nodes needs then.
    """

    change: np.ndarray
    place: int
    again: np.ndarray


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
    _known: dict[Chosen, np.ndarray] = field(default_factory=dict)

    def _levels(self, chosen: Chosen) -> np.ndarray:
        """What each node needs; those before the first that may run again are not looked at."""
        if chosen not in self._known:
            repeats, start = self.candidates.of(chosen), self.candidates.start
            again = again_of(repeats.graph)
            extra = [self.extra[again.get(node.name, node.name)] for node in repeats.graph.nodes]
            self._known[chosen] = np.array(repeats.live[start:]) + extra[start:]
        return self._known[chosen]

    @cached_property
    def _effects(self) -> Mapping[Part, _Effect]:
        """Of parts that are not too expensive by themselves."""
        cost = self.candidates.cost
        found = [part for part in self.candidates.parts if cost((part,)) <= self.most]
        return {part: self._effect(part) for part in found}

    def _effect(self, part: Part) -> _Effect:
        graph, start = self.candidates.of((part,)).graph, self.candidates.start
        names = [node.name for node in graph.nodes[start:]]
        levels = dict(zip(names, self._levels((part,)), strict=True))
        twins = [name for name in names if name in again_of(graph)]
        before = [node.name for node in self.candidates.graph.nodes[start:]]
        # What nothing reads any more does not run.
        change = np.array([levels.get(name, 0) for name in before]) - self._levels(())
        place = before.index(names[names.index(twins[-1]) + 1])
        return _Effect(change, place, np.array([levels[name] for name in twins]))

    def _estimate(self, chosen: Chosen, limit: int) -> int:
        """The excess if no part changed what another brings: only what one hands to the next is
        missing."""
        effects = [self._effects[part] for part in chosen]
        change = sum(effect.change for effect in effects)
        excess = _beyond(self._levels(()) + change, limit)
        for effect in effects:
            others = (change - effect.change)[effect.place]
            excess += _beyond(effect.again + others, limit)
        return excess

    def within(self, limit: int) -> Repeats | None:
        """Parts with which no node needs more than a limit, for few instructions; None if none are
        found.

        Each time the change is made by which the excess over the limit, summed over all nodes,
        falls most for what it costs, or in another try falls most whatever it costs; at last what
        turned out not to be needed goes again.
        """
        tries = [self._descent(limit, by_cost=by_cost) for by_cost in (True, False)]
        found = [self._leaner(chosen, limit) for chosen in tries if chosen is not None]
        best = min(
            found,
            key=lambda chosen: (self.candidates.cost(chosen), max(self._levels(chosen))),
            default=None,
        )
        return None if best is None else self.candidates.of(best)

    def _descent(self, limit: int, *, by_cost: bool) -> Chosen | None:
        chosen: Chosen = ()
        while (left := self._excess(chosen, limit)) > 0:
            now, changes = self.candidates.cost(chosen), []
            for other in self._neighbours(chosen):
                price = max(self.candidates.cost(other) - now, 1) if by_cost else 1
                changes.append(((self._estimate(other, limit) - left) / price, other, price))
            better = []
            for _, other, price in sorted(changes)[:_TRIED]:
                if self.candidates.exhausted:
                    return None
                gained = left - self._excess(other, limit)
                if gained > 0:
                    better.append((gained / price, other))
            if not better:
                return None
            chosen = max(better, key=lambda pair: pair[0])[1]
        return chosen

    def _neighbours(self, chosen: Chosen) -> list[Chosen]:
        """One part more, in the place of those that share nodes with it; or one part less."""
        found = [_changed(chosen, part) for part in self._effects]
        return [other for other in found if self.candidates.cost(other) <= self.most]

    def smallest(self) -> Repeats:
        """Parts with which the node that needs most needs little: the limit falls until none are
        found that keep it."""
        self.within(0)
        best = min(self._known, key=lambda chosen: max(self._levels(chosen)))
        found = self.candidates.of(best)
        for share in _SHARES:
            while (less := self.within(round(max(self._levels(found.parts)) * share))) is not None:
                found = less
        return found

    def _excess(self, chosen: Chosen, limit: int) -> int:
        return _beyond(self._levels(chosen), limit)

    def _leaner(self, chosen: Chosen, limit: int) -> Chosen:
        """The same for less, as long as a change leads there."""
        cost = self.candidates.cost
        for other in sorted(self._neighbours(chosen), key=cost):
            if cost(other) >= cost(chosen) or self.candidates.exhausted:
                break
            if self._estimate(other, limit) == 0 == self._excess(other, limit):
                return self._leaner(other, limit)
        return chosen


def _beyond(levels: np.ndarray, limit: int) -> int:
    return int(np.maximum(levels - limit, 0).sum())


def _changed(chosen: Chosen, part: Part) -> Chosen:
    """Without a part, or with it in the place of those that share nodes with it."""
    if part in chosen:
        return tuple(other for other in chosen if other != part)
    return tuple(sorted([part, *(other for other in chosen if not other.meets(part))]))
