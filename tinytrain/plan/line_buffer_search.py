"""Chooses the line-buffered chains of the frozen stem, and how many rows a step of each takes.

The stem is cut into segments: single nodes that run as a whole, and chains. A whole map lies
between two segments, so the memory of a segment depends on that segment alone, and the cheapest cut
within a limit is a shortest path over the places between nodes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isqrt

from tinytrain.ir.graph import Graph, Value, last_use
from tinytrain.ir.operations import frozen_count, loss_index
from tinytrain.kernel.choose import Choice, narrower
from tinytrain.kernel.nodes import work_of
from tinytrain.kernel.work import Work, spread
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.line_buffer import chain_ends, line_buffered_to, maps_of
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import aligned, live_bytes
from tinytrain.plan.storage import ArenaStorage
from tinytrain.plan.stripe_kernels import choose_for_stripes

_ROWS_PER_STEP = (1, 2, 3, 4, 6, 8, 12, 16, 32)
"""Rows of the source that a step may take, for a map of at most `_MOST_STEPS` rows; proportionally
more for a higher one."""

_MOST_STEPS = 128
"""Most steps of a chain: each takes 14 bytes of flash per layer."""

_WORK = 500_000
"""Layers of chains that may be looked at for each number of rows. A stem of more than 79 nodes has
no longer chains than this allows; work is counted instead of time, so that a model gets the same
plan on every machine."""

_LEAST_LAYERS = 8
"""What the longest chain has at any depth."""


@dataclass(frozen=True)
class Cut:
    """How the stem runs.

    Attributes:
        chains: the line-buffered chains, in order.
        limits: of the workspace of nodes that run as a whole, in bytes by node name.
    """

    chains: tuple[LineBufferedChain, ...]
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Segment:
    """A piece of the stem: one node, or a chain.

    Attributes:
        first, last: indices of its first and its last node in the schedule.
        chain: None for a node that runs as a whole.
        peak: the largest sum of live bytes at its nodes, in bytes.
        cost: estimated instructions.
        limits: of the workspace of a node that runs as a whole, in bytes by node name; empty for
            the fastest kernel.
    """

    first: int
    last: int
    chain: LineBufferedChain | None
    peak: int
    cost: int
    limits: Mapping[str, int] = field(default_factory=dict)


class Stem:
    """The frozen nodes at the start of a schedule, cut into segments in every possible way.

    Args:
        graph: scheduled.
        choices: the kernels of all nodes when they run as a whole.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        fed: the graph's input arrives row by row, so a chain must begin with it.
    """

    def __init__(
        self, graph: Graph, choices: Mapping[str, Choice], isa: str, *, fed: bool = False
    ) -> None:
        self.end, self._fed = frozen_count(graph, graph.nodes[: loss_index(graph)]), fed
        items = storages(graph, choices)
        whole = live_bytes(items, range(len(graph.nodes)))
        around = _Around(items, self.end)
        last_uses = last_use(graph)
        works = [work_of(graph, node) for node in graph.nodes[: self.end]]
        self._segments: list[list[Segment]] = [[] for _ in range(self.end)]
        for first in range(self.end):
            if first > 0 or not fed:
                self._segments[first] += _as_a_whole(
                    first, graph.nodes[first].name, choices, works[first], whole[first], isa
                )
            self._segments[first] += [
                _segment(graph, around, works, chain, isa)
                for chain in self._chains(graph, first, last_uses)
            ]

    def _chains(
        self, graph: Graph, first: int, last_uses: Mapping[Value, int]
    ) -> list[LineBufferedChain]:
        """The chains that begin at a node, by their last node and then by the rows of a step."""
        feeds = self._fed and first == 0
        # One layer has no map inside; a fed input must not be read after its chain.
        least = first + 1
        if feeds:
            x = graph.inputs[0]
            least = max((k for k, node in enumerate(graph.nodes) if x in node.inputs), default=0)
        end = min(least + _most_layers(self.end), self.end)
        lasts = [last for last in chain_ends(graph, first, end, last_uses) if last >= least]
        if not lasts:
            return []
        height = graph.nodes[first].inputs[0].type.shape[1]
        unit = spread(height, _MOST_STEPS)
        found = [
            line_buffered_to(graph, first, lasts, rows * unit, fed=feeds)
            for rows in _ROWS_PER_STEP
            if rows * unit <= max(1, height // 2)
        ]
        return [chain for same_last in zip(*found, strict=True) for chain in same_last]

    @property
    def is_bounded(self) -> bool:
        """Whether some chain may be longer than those that were looked at."""
        return _most_layers(self.end) < self.end

    def limits(self) -> list[int]:
        """The peaks of all segments, in bytes, ascending: the only limits that matter."""
        return sorted({segment.peak for segments in self._segments for segment in segments})

    def within(self, nbytes: int) -> Cut | None:
        """The cheapest cut whose segments need at most `nbytes` each; None if there is none."""
        best: list[tuple[int, Segment | None] | None] = [None] * (self.end + 1)
        best[0] = 0, None
        for place in range(self.end):
            so_far = best[place]
            if so_far is None:
                continue
            for segment in self._segments[place]:
                known = best[segment.last + 1]
                cost = so_far[0] + segment.cost
                if segment.peak <= nbytes and (known is None or cost < known[0]):
                    best[segment.last + 1] = cost, segment
        reached = best[self.end]
        if reached is None:
            return None
        found: list[Segment] = []
        while reached is not None and reached[1] is not None:
            found.insert(0, reached[1])
            reached = best[reached[1].first]
        return Cut(
            tuple(segment.chain for segment in found if segment.chain is not None),
            {name: limit for segment in found for name, limit in segment.limits.items()},
        )

    def smallest(self) -> int | None:
        """The lowest limit that some cut keeps, in bytes; None if rows cannot be fed."""
        if self.end == 0:
            return None if self._fed else 0
        limits = self.limits()
        # What one limit allows a larger one allows too.
        found = bisect_left(limits, True, key=lambda limit: self.within(limit) is not None)
        return limits[found] if found < len(limits) else None


def _most_layers(nodes: int) -> int:
    """Layers that a chain in a stem of so many nodes may have."""
    return max(isqrt(_WORK // max(nodes, 1)), _LEAST_LAYERS)


class _Around:
    """The storages that live at the first nodes of a schedule when they run as a whole."""

    def __init__(self, items: Sequence[ArenaStorage], end: int) -> None:
        self._begin: list[list[ArenaStorage]] = [[] for _ in range(end)]
        self._live: list[list[ArenaStorage]] = [[] for _ in range(end)]
        for item in items:
            if item.first < end:
                self._begin[item.first].append(item)
            for index in range(item.first, min(item.last + 1, end)):
                self._live[index].append(item)

    def of(self, first: int, last: int) -> list[ArenaStorage]:
        """Those that live at some node from the first to the last."""
        later = (item for index in range(first + 1, last + 1) for item in self._begin[index])
        return [*self._live[first], *later]


def _as_a_whole(
    index: int, name: str, choices: Mapping[str, Choice], work: Work | None, peak: int, isa: str
) -> list[Segment]:
    """A node as a segment: with the workspace of its fastest kernel, and with less."""
    if work is None:
        return [Segment(index, index, None, peak, 0)]
    fastest = choices[name]
    beside = peak - aligned(fastest.workspace)
    segments = [Segment(index, index, None, peak, fastest.cost)]
    for choice in narrower(work, isa):
        needed = beside + aligned(choice.workspace)
        limits = {name: choice.workspace}
        segments.append(Segment(index, index, None, needed, choice.cost, limits))
    return segments


def _segment(
    graph: Graph,
    around: _Around,
    works: Sequence[Work | None],
    chain: LineBufferedChain,
    isa: str,
) -> Segment:
    """A chain as a segment; `around`: what lives there when its nodes run as a whole."""
    nodes = graph.nodes[chain.first : chain.last + 1]
    striped = choose_for_stripes(nodes, works[chain.first : chain.last + 1], chain, isa)
    # The rows of a fed source arrive before the first node of a step.
    index = {chain.source: chain.first}
    index |= {node.output: chain.first + k for k, node in enumerate(nodes)}
    until = dict(index)
    for k, node in enumerate(nodes):
        until |= dict.fromkeys(maps_of(node), chain.first + k)
    own = {*index, *(node.name for node in nodes)}
    near = around.of(chain.first, chain.last)
    items = [item for item in near if own.isdisjoint((*item.values, item.name))]

    def add(name: str, nbytes: int, first: int, last: int) -> None:
        items.append(ArenaStorage(name, (), nbytes, first, last))

    if chain.feed is None:
        add("source", chain.source.type.nbytes, chain.first, chain.last)
    add("output", nodes[-1].output.type.nbytes, chain.first, chain.last)
    for buffer in chain.buffers:
        if buffer.carries:
            add("buffer", buffer.nbytes, chain.first, chain.last)
        else:
            add("buffer", buffer.nbytes, index[buffer.value], until[buffer.value])
    for k, node in enumerate(nodes):
        if node.name in striped and striped[node.name].workspace:
            add("workspace", striped[node.name].workspace, chain.first + k, chain.first + k)
    peak = max(live_bytes(items, range(chain.first, chain.last + 1)))
    cost = sum(choice.cost for choice in striped.values())
    return Segment(chain.first, chain.last, chain, peak, cost)
