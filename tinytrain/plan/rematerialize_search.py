"""Chooses the parts to rematerialize so that a step keeps within a limit of memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import Choice
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes
from tinytrain.plan.rematerialize import ForwardPart, parts, rematerialized, rematerialized_nodes

_SHARES = (0.8, 0.95, 0.99)
"""Each next limit to try, as a share of what the last one reached."""

_TRIED = 24
"""Changes that are evaluated before one is made: those with the best estimates."""

_WORK = 300_000
"""Nodes of the graphs that one search may evaluate: about 10 seconds. Work is counted instead of
time, so that a model gets the same plan on every machine."""

_PASSES = 3
"""How often `_WORK` is enough to try each part."""

Chosen = tuple[ForwardPart, ...]
"""Parts to rematerialize, in the order of the forward pass; no two share a node."""


@dataclass(frozen=True)
class Rematerialization:
    """A graph with rematerialized parts.

    Attributes:
        parts: that are rematerialized.
        graph: with the nodes that run a second time.
        live: bytes of the values that are live at each of its nodes.
    """

    parts: Chosen
    graph: Graph
    live: tuple[int, ...]


@dataclass
class Candidates:
    """The parts of a scheduled graph; each combination of them is evaluated once.

    Args:
        choices: the kernels of its nodes, by node name.
        start: index of the first node that may be rematerialized; those before it are the stem.
    """

    graph: Graph
    choices: Mapping[str, Choice]
    start: int
    _known: dict[Chosen, Rematerialization] = field(default_factory=dict)
    _worked: int = 0

    @cached_property
    def parts(self) -> list[ForwardPart]:
        """All parts, or as many parts of a deep network as there is work to try."""
        nodes = len(self.graph.nodes)
        return parts(self.graph, self.start, most=max(_WORK // (_PASSES * nodes), 1))

    @cached_property
    def _costs(self) -> Mapping[ForwardPart, int]:
        costs = {name: choice.cost for name, choice in self.choices.items()}
        return {
            part: sum(costs.get(node.name, 0) for node in rematerialized_nodes(self.graph, part))
            for part in self.parts
        }

    def cost(self, chosen: Chosen) -> int:
        """Estimated instructions that the chosen parts add to a step."""
        return sum(self._costs[part] for part in chosen)

    @property
    def exhausted(self) -> bool:
        """Whether the search has done all the work that it may do."""
        return self._worked >= _WORK

    def of(self, chosen: Chosen) -> Rematerialization:
        """The graph with the chosen parts rematerialized."""
        if chosen not in self._known:
            graph = rematerialized(self.graph, chosen)
            choices = {**self.choices} | {
                twin: self.choices[name]
                for twin, name in graph.rematerialized.items()
                if name in self.choices
            }
            values = [item for item in storages(graph, choices) if item.values]
            live = tuple(live_bytes(values, range(len(graph.nodes))))
            self._worked += len(graph.nodes)
            self._known[chosen] = Rematerialization(chosen, graph, live)
        return self._known[chosen]


@dataclass(frozen=True)
class _Effect:
    """The effect of one part by itself.

    Attributes:
        change: of what each node of the scheduled graph needs, in bytes.
        place: index of the node before which the part runs a second time.
        second: what each of its nodes needs then, in bytes.
    """

    change: np.ndarray
    place: int
    second: np.ndarray


@dataclass
class RematerializationSearch:
    """Chooses parts one after another, the best first; a part replaces those that it meets.

    Args:
        candidates: the parts to choose from.
        extra: bytes that a node needs beside live values, by node name; negative where it can do
            with less.
        most: the most instructions to spend.
    """

    candidates: Candidates
    extra: Mapping[str, int]
    most: int
    _known: dict[Chosen, np.ndarray] = field(default_factory=dict)

    def _levels(self, chosen: Chosen) -> np.ndarray:
        """What each node from `Candidates.start` on needs, in bytes."""
        if chosen not in self._known:
            found, start = self.candidates.of(chosen), self.candidates.start
            originals = found.graph.rematerialized
            extra = [self.extra[originals.get(node.name, node.name)] for node in found.graph.nodes]
            self._known[chosen] = np.array(found.live[start:]) + extra[start:]
        return self._known[chosen]

    @cached_property
    def _effects(self) -> Mapping[ForwardPart, _Effect]:
        """For each part that is not too expensive by itself."""
        cost = self.candidates.cost
        found = [part for part in self.candidates.parts if cost((part,)) <= self.most]
        return {part: self._effect(part) for part in found}

    def _effect(self, part: ForwardPart) -> _Effect:
        graph, start = self.candidates.of((part,)).graph, self.candidates.start
        names = [node.name for node in graph.nodes[start:]]
        levels = dict(zip(names, self._levels((part,)), strict=True))
        twins = [name for name in names if name in graph.rematerialized]
        before = [node.name for node in self.candidates.graph.nodes[start:]]
        # A node whose result nothing reads any more does not run.
        change = np.array([levels.get(name, 0) for name in before]) - self._levels(())
        place = before.index(names[names.index(twins[-1]) + 1])
        return _Effect(change, place, np.array([levels[name] for name in twins]))

    def _estimate(self, chosen: Chosen, limit: int) -> int:
        """The excess if the effects of parts simply add up, which leaves out the maps that one part
        passes on to the next."""
        effects = [self._effects[part] for part in chosen]
        change = sum(effect.change for effect in effects)
        excess = _beyond(self._levels(()) + change, limit)
        for effect in effects:
            others = (change - effect.change)[effect.place]
            excess += _beyond(effect.second + others, limit)
        return excess

    def within(self, limit: int) -> Rematerialization | None:
        """Cheap parts with which no node needs more than `limit` bytes; None if none are found.

        Each change is the one that lowers the excess over the limit, summed over all nodes, most
        for its cost; in a second try, most regardless of cost. At the end, parts that turned out
        not to be needed are removed.
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
        """One more part, in place of those that share nodes with it; or one part less."""
        found = [_changed(chosen, part) for part in self._effects]
        return [other for other in found if self.candidates.cost(other) <= self.most]

    def smallest(self) -> Rematerialization:
        """Parts with a low peak: the limit is lowered until no parts are found that keep it."""
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
        """Cheaper parts that keep the limit, too, found by single changes."""
        cost = self.candidates.cost
        for other in sorted(self._neighbours(chosen), key=cost):
            if cost(other) >= cost(chosen) or self.candidates.exhausted:
                break
            if self._estimate(other, limit) == 0 == self._excess(other, limit):
                return self._leaner(other, limit)
        return chosen


def _beyond(levels: np.ndarray, limit: int) -> int:
    return int(np.maximum(levels - limit, 0).sum())


def _changed(chosen: Chosen, part: ForwardPart) -> Chosen:
    """Without a part, or with it in the place of those that share nodes with it."""
    if part in chosen:
        return tuple(other for other in chosen if other != part)
    return tuple(sorted([part, *(other for other in chosen if not other.meets(part))]))
