"""Which chains of the frozen stem run row by row, and how many rows a turn takes.

The stem is cut into segments: single nodes that run as a whole, and chains. Between segments one
map exists as a whole, so that what a segment needs depends on nothing but itself, and the cheapest
cut within a limit is a shortest path over the places between nodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tinytrain.ir.graph import Graph
from tinytrain.ir.ops_training import loss_index
from tinytrain.kernel.choose import Choice, narrower
from tinytrain.kernel.work import Work, spread, work_of
from tinytrain.plan.line_buffer import Stream, chains, maps_of, stream
from tinytrain.plan.liveness import Storage, storages
from tinytrain.plan.place import aligned, live_bytes
from tinytrain.plan.schedule import frozen_count
from tinytrain.plan.stripe_kernels import choose_for_bands

_STEPS = (1, 2, 3, 4, 6, 8, 12, 16, 32)
"""Rows of the source that a turn may take, of a map of at most `_TURNS` rows; in proportion of one
that is higher."""

_TURNS = 128
"""Most turns of a chain: each takes 14 bytes of flash for each of its layers."""


@dataclass(frozen=True)
class Cut:
    """How the stem runs.

    Attributes:
        streams: the chains.
        limits: of the scratch of nodes that run as a whole, in bytes by name.
    """

    streams: tuple[Stream, ...]
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Segment:
    """A part of the stem: one node, or a chain.

    Attributes:
        first, last: places of its nodes in the schedule, both included.
        stream: None for a node that runs as a whole.
        peak: the largest sum of live bytes at its nodes.
        cost: estimated instructions.
        limits: of the scratch of a node that runs as a whole, by name; none for the fastest.
    """

    first: int
    last: int
    stream: Stream | None
    peak: int
    cost: int
    limits: Mapping[str, int] = field(default_factory=dict)


class Stem:
    """The forward nodes that may run row by row, cut into segments in all ways.

    Args:
        graph: scheduled.
        choices: the kernels of all nodes as they run as a whole.
        fed: the graph's input arrives row by row, so that a chain begins with it.
    """

    def __init__(
        self, graph: Graph, choices: Mapping[str, Choice], isa: str, *, fed: bool = False
    ) -> None:
        self.end, self._fed = frozen_count(graph, graph.nodes[: loss_index(graph)]), fed
        items = storages(graph, choices)
        whole = live_bytes(items, range(len(graph.nodes)))
        near = [item for item in items if item.first < self.end]
        works = [work_of(graph, node) for node in graph.nodes[: self.end]]
        x = graph.inputs[0]
        readers = [k for k, node in enumerate(graph.nodes) if x in node.inputs]
        self._segments: list[list[Segment]] = [[] for _ in range(self.end)]
        for first in range(self.end):
            feeds = fed and first == 0
            if not feeds:
                self._segments[first] += _as_a_whole(
                    first, graph.nodes[first].name, choices, works[first], whole[first], isa
                )
            for last in chains(graph, first, self.end):
                if last == first and not feeds:
                    continue  # nothing lies between its layers
                if feeds and any(k > last for k in readers):
                    continue  # somebody else needs the whole input
                height = graph.nodes[first].inputs[0].type.shape[1]
                unit = spread(height, _TURNS)
                for step in (step * unit for step in _STEPS if step * unit <= max(1, height // 2)):
                    chain = stream(graph, first, last, step, fed=feeds)
                    self._segments[first].append(_segment(graph, near, works, chain, isa))

    def limits(self) -> list[int]:
        """Every peak of a segment, ascending: the limits that make a difference."""
        return sorted({segment.peak for segments in self._segments for segment in segments})

    def within(self, nbytes: int) -> Cut | None:
        """The cheapest cut whose segments all need at most so many bytes.

        Returns:
            None if there is no such cut.
        """
        best: list[tuple[int, tuple[Segment, ...]] | None] = [None] * (self.end + 1)
        best[0] = 0, ()
        for place in range(self.end):
            so_far = best[place]
            if so_far is None:
                continue
            for segment in self._segments[place]:
                known = best[segment.last + 1]
                cost = so_far[0] + segment.cost
                if segment.peak <= nbytes and (known is None or cost < known[0]):
                    best[segment.last + 1] = cost, (*so_far[1], segment)
        found = best[self.end]
        if found is None:
            return None
        return Cut(
            tuple(part.stream for part in found[1] if part.stream is not None),
            {name: limit for part in found[1] for name, limit in part.limits.items()},
        )

    def smallest(self) -> int | None:
        """The least limit that some cut keeps; None where there is no cut, as no chain is fed."""
        if self.end == 0:
            return None if self._fed else 0
        return next((limit for limit in self.limits() if self.within(limit) is not None), None)


def _as_a_whole(
    index: int, name: str, choices: Mapping[str, Choice], work: Work | None, peak: int, isa: str
) -> list[Segment]:
    """A node with the scratch that makes it fastest, and with less."""
    if work is None:
        return [Segment(index, index, None, peak, 0)]
    fastest = choices[name]
    beside = peak - aligned(fastest.scratch)
    segments = [Segment(index, index, None, peak, fastest.cost)]
    for choice in narrower(work, isa):
        needed = beside + aligned(choice.scratch)
        limits = {name: choice.scratch}
        segments.append(Segment(index, index, None, needed, choice.cost, limits))
    return segments


def _segment(
    graph: Graph, near: Sequence[Storage], works: Sequence[Work | None], chain: Stream, isa: str
) -> Segment:
    """A chain; `near` is what lives around it while it runs as a whole."""
    nodes = graph.nodes[chain.first : chain.last + 1]
    banded = choose_for_bands(nodes, works[chain.first : chain.last + 1], chain, isa)
    # The rows of a fed source arrive before the first node of a turn.
    index = {chain.source: chain.first}
    index |= {node.output: chain.first + k for k, node in enumerate(nodes)}
    until = dict(index)
    for k, node in enumerate(nodes):
        until |= dict.fromkeys(maps_of(node), chain.first + k)
    own = {*index, *(node.name for node in nodes)}
    items = [item for item in near if own.isdisjoint((*item.values, item.name))]

    def add(name: str, nbytes: int, first: int, last: int) -> None:
        items.append(Storage(name, (), nbytes, first, last))

    if chain.feed is None:
        add("source", chain.source.type.nbytes, chain.first, chain.last)
    add("output", nodes[-1].output.type.nbytes, chain.first, chain.last)
    for buffer in chain.buffers:
        if buffer.carries:
            add("buffer", buffer.nbytes, chain.first, chain.last)
        else:
            add("buffer", buffer.nbytes, index[buffer.value], until[buffer.value])
    for k, node in enumerate(nodes):
        if node.name in banded and banded[node.name].scratch:
            add("scratch", banded[node.name].scratch, chain.first + k, chain.first + k)
    peak = max(live_bytes(items, range(chain.first, chain.last + 1)))
    cost = sum(choice.cost for choice in banded.values())
    return Segment(chain.first, chain.last, chain, peak, cost)
