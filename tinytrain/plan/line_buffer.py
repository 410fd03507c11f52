"""Line-buffered chains: forward nodes that run a few rows at a time (docs/memory.md).

In each step of a chain some rows of its source arrive, and every node computes the stripe of its
output that those rows allow. A map between two nodes exists only as a line buffer: the rows that
later steps still read.

Sources: the sliding windows of Halide (Ragan-Kelley et al., "Halide: A Language and Compiler for
Optimizing Parallelism, Locality, and Recomputation in Image Processing Pipelines", PLDI 2013); for
networks on microcontrollers, the patch-by-patch inference of Lin et al., "MCUNetV2", NeurIPS 2021,
which computes overlaps twice where this computes nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType
from tinytrain.plan.chain import LineBuffer, LineBufferedChain, Stripe


def maps_of(node: Node) -> tuple[Value, ...]:
    """The maps that a node reads, without weights and biases."""
    return node.inputs[:1] if traits_of(node).has_weights else node.inputs


def row_window(node: Node) -> tuple[int, int, int]:
    """(reach, stride, padding) in rows: output row o reads the `reach` rows of the input that begin
    at row o * stride - padding."""
    window = traits_of(node).window
    if window is None:
        return 1, 1, 0
    kernel, _ = window(node)
    dilation = node.attrs.get("dilation", (1, 1))[0]
    return (kernel - 1) * dilation + 1, node.attrs["strides"][0], node.attrs["padding"][0]


def chain_ends(
    graph: Graph, first: int, end: int, last_uses: Mapping[Value, int] | None = None
) -> Iterator[int]:
    """Indices below `end` of the last nodes of all chains that begin at `first`, ascending.

    Args:
        last_uses: of the graph, where they are known.
    """
    last = last_use(graph) if last_uses is None else last_uses
    inside: set[Value] = set()
    source: Value | None = None
    until = first
    for index in range(first, end):
        node = graph.nodes[index]
        if not can_be_line_buffered(graph, node):
            return
        outside = {value for value in maps_of(node) if value not in inside}
        if outside - {source}:
            if source is not None or len(outside) > 1:
                return
            (source,) = outside
        inside.add(node.output)
        is_output = node.output in graph.outputs
        # All that is read or given out behind the chain is its last output.
        if until <= index and (is_output or last[node.output] > index):
            yield index
        until = max(until, end if is_output else last[node.output])


def can_be_line_buffered(graph: Graph, node: Node) -> bool:
    """Whether a node can compute a stripe of its output from constants and some rows of its maps.

    Each of its windows must contain a row of the map, so that every stripe has rows to read. A
    convolution that is followed needs the whole map.
    """
    if "follow" in node.attrs:
        return False
    if not traits_of(node).by_rows or node.output.type.dtype is not DType.S8:
        return False
    maps = maps_of(node)
    rest = node.inputs[len(maps) :]
    if len(node.output.type.shape) != 4:
        return False
    reach, stride, padding = row_window(node)
    last = (node.output.type.shape[1] - 1) * stride - padding
    if padding >= reach or last >= maps[0].type.shape[1]:
        return False
    return (
        all(len(value.type.shape) == 4 for value in maps)
        and all(value.type.dtype is DType.S8 and value.type.shape[1] > 1 for value in maps)
        and all(value not in graph.constants for value in maps)
        and all(value in graph.constants for value in rest)
    )


class _Rows:
    """The rows [start, end) of one map, counted from its top, that its buffer holds."""

    def __init__(self, value: Value, *, whole: bool) -> None:
        self.value, self.whole = value, whole
        self.height = value.type.shape[1]
        self.start = self.end = self.most = 0
        self.carries = False
        self.readers: list[tuple[_Rows, int, int]] = []
        """For each node that reads the map: its output, its stride, its padding at the top."""

    @property
    def is_complete(self) -> bool:
        """Whether all rows have been written."""
        return self.end == self.height

    def needed(self) -> int:
        """The first row that some reader still needs; the height of the map if none does."""
        needed = self.height
        for out, stride, padding in self.readers:
            if out.end < out.height:
                needed = min(needed, max(out.end * stride - padding, 0))
        return needed

    def take(self, rows: int) -> Stripe:
        """Drops the rows that no reader needs any more, and adds new ones."""
        drop = 0 if self.whole else min(max(self.needed() - self.start, 0), self.end - self.start)
        self.start += drop
        kept = self.end - self.start
        self.end += rows
        self.most = max(self.most, self.end - self.start)
        return Stripe(drop, kept, rows)


def line_buffered(
    graph: Graph, first: int, last: int, rows_per_step: int, *, fed: bool = False
) -> LineBufferedChain:
    """The steps of a chain, simulated row by row.

    Args:
        first, last: a chain that `chain_ends` found.
        rows_per_step: rows of the source that each step takes.
        fed: the source has a line buffer too, and its rows arrive step by step.
    """
    return _Simulation(graph, first, last, rows_per_step, fed=fed).run([last])[last]


def line_buffered_to(
    graph: Graph, first: int, lasts: Sequence[int], rows_per_step: int, *, fed: bool = False
) -> list[LineBufferedChain]:
    """The chains from one node to several others, as `line_buffered`, from one simulation.

    Args:
        lasts: ascending.
    """
    found = _Simulation(graph, first, lasts[-1], rows_per_step, fed=fed).run(lasts)
    # A longer chain may skip the last rows of the map that ends a shorter one.
    return [
        found[last] if last in found else line_buffered(graph, first, last, rows_per_step, fed=fed)
        for last in lasts
    ]


class _Simulation:
    """The steps of a chain, and of the shorter ones that it begins with.

    Up to its last node a shorter chain does the same in each step: only that node can read the
    maps before it, and all of its output is kept instead of the rows that later nodes need.
    """

    def __init__(
        self, graph: Graph, first: int, last: int, rows_per_step: int, *, fed: bool
    ) -> None:
        self._first, self._rows_per_step, self._fed = first, rows_per_step, fed
        nodes = graph.nodes[first : last + 1]
        made = {node.output for node in nodes}
        self._source = next(value for node in nodes for value in maps_of(node) if value not in made)
        self._rows = {self._source: _Rows(self._source, whole=not fed)}
        self._stages = []
        for node in nodes:
            out = _Rows(node.output, whole=node is nodes[-1])
            window = row_window(node)
            for value in dict.fromkeys(maps_of(node)):
                self._rows[value].readers.append((out, *window[1:]))
            self._stages.append((out, [self._rows[value] for value in maps_of(node)], window))
            self._rows[node.output] = out
        self._stripes: list[list[Stripe]] = [[] for _ in nodes]
        self._feed: list[Stripe] = []

    def run(self, lasts: Sequence[int]) -> dict[int, LineBufferedChain]:
        """Runs all steps; returns the chains to some nodes, without those that are not finished.

        Args:
            lasts: ascending, up to the last node of the simulated chain.
        """
        found: dict[int, LineBufferedChain] = {}
        while lasts[-1] not in found:
            self._step()
            # All rows of a fed source are taken, even where a stride skips the last ones.
            if self._fed and not self._rows[self._source].is_complete:
                continue
            for last in lasts:
                if last not in found and self._stages[last - self._first][0].is_complete:
                    found[last] = self._chain(last)
        return found

    def _step(self) -> None:
        source = self._rows[self._source]
        if len(self._feed) > source.height:
            raise InternalError(f"the chain from node {self._first} on does not end")
        self._feed.append(source.take(min(self._rows_per_step, source.height - source.end)))
        for stage, stripes in zip(self._stages, self._stripes, strict=True):
            stripes.append(_stripe(*stage))
        for held in self._rows.values():
            held.carries |= not held.whole and held.end > max(held.needed(), held.start)

    def _chain(self, last: int) -> LineBufferedChain:
        """The chain to a node whose output is complete as of this step."""
        count = last - self._first
        inside = [held for held in self._rows.values() if not held.whole]
        inside = inside[: count + self._fed]
        return LineBufferedChain(
            self._first,
            last,
            self._source,
            self._rows_per_step,
            tuple(self._feed) if self._fed else None,
            (*map(tuple, self._stripes[:count]), _kept_whole(self._stripes[count])),
            tuple(LineBuffer(held.value, held.most, held.carries) for held in inside),
        )


def _kept_whole(stripes: Sequence[Stripe]) -> tuple[Stripe, ...]:
    """The same stripes of a map that exists as a whole."""
    done = accumulate((stripe.rows for stripe in stripes), initial=0)
    return tuple(
        replace(stripe, drop=0, kept=kept) for stripe, kept in zip(stripes, done, strict=False)
    )


def _stripe(out: _Rows, maps: Sequence[_Rows], window: tuple[int, int, int]) -> Stripe:
    """The rows of a node's output that can be computed by now."""
    reach, stride, padding = window
    begin = end = out.end
    if out.whole or out.needed() < out.height:
        end = out.height
        for read in maps:
            if not read.is_complete:
                end = min(end, (read.end + padding - reach) // stride + 1)
    if end <= begin:
        return Stripe(0, out.end - out.start, 0)
    stripe = out.take(end - begin)
    top = begin * stride - padding
    bottom = min((end - 1) * stride - padding + reach, maps[0].height)
    skip = tuple(max(top, 0) - read.start for read in maps)
    return Stripe(stripe.drop, stripe.kept, stripe.rows, skip, bottom - max(top, 0), max(-top, 0))
