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

from collections.abc import Iterator, Sequence

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
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


def chain_ends(graph: Graph, first: int, end: int) -> Iterator[int]:
    """Indices below `end` of the last nodes of all chains that begin at `first`, ascending."""
    users = graph.users()
    inside: set[Value] = set()
    source: Value | None = None
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
        within = graph.nodes[first : index + 1]
        leaving = {
            value
            for value in inside
            if value in graph.outputs or any(user not in within for user in users.get(value, ()))
        }
        if leaving == {node.output}:
            yield index


def can_be_line_buffered(graph: Graph, node: Node) -> bool:
    """Whether a node can compute a stripe of its output from constants and some rows of its maps.

    Each of its windows must contain a row of the map, so that every stripe has rows to read.
    """
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
    nodes = graph.nodes[first : last + 1]
    made = {node.output for node in nodes}
    source = next(value for node in nodes for value in maps_of(node) if value not in made)
    rows = {source: _Rows(source, whole=not fed)}
    stages = []
    for node in nodes:
        out = _Rows(node.output, whole=node is nodes[-1])
        window = row_window(node)
        for value in dict.fromkeys(maps_of(node)):
            rows[value].readers.append((out, *window[1:]))
        stages.append((out, [rows[value] for value in maps_of(node)], window))
        rows[node.output] = out
    stripes: list[list[Stripe]] = [[] for _ in nodes]
    feed: list[Stripe] = []
    result = rows[nodes[-1].output]
    # All rows of a fed source are taken, even where a stride skips the last ones.
    while not result.is_complete or (fed and not rows[source].is_complete):
        feed.append(rows[source].take(min(rows_per_step, rows[source].height - rows[source].end)))
        for stage, of_node in zip(stages, stripes, strict=True):
            of_node.append(_stripe(*stage))
        if len(feed) > rows[source].height:
            raise InternalError(f"the chain from {nodes[0].name} on does not end")
        for held in rows.values():
            held.carries |= not held.whole and held.end > max(held.needed(), held.start)
    buffers = tuple(
        LineBuffer(value, held.most, held.carries) for value, held in rows.items() if not held.whole
    )
    return LineBufferedChain(
        first,
        last,
        source,
        rows_per_step,
        tuple(feed) if fed else None,
        tuple(map(tuple, stripes)),
        buffers,
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
