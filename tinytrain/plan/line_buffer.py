"""Chains of forward nodes that run row by row through rolling buffers (docs/memory.md).

Sources: the line buffers of TensorFlow's and Halide's sliding windows; for networks on
microcontrollers, patch-by-patch inference of Lin et al., "MCUNetV2", 2021, which computes overlaps
twice where this computes nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType

_WINDOWS = {"conv2d": "", "avg_pool2d": "window", "max_pool2d": "window"}
_ELEMENTWISE = frozenset({"add", "activation"})
STREAMABLE = frozenset(_WINDOWS) | _ELEMENTWISE
"""Operations of whose rows each depends on a window of rows of the input."""


@dataclass(frozen=True)
class Band:
    """What one turn does to one map: rows leave its buffer, and new rows are written.

    Attributes:
        drop: rows that leave the front of the buffer, before anything is written.
        kept: rows that then move to the front.
        rows: new rows behind them; 0 where the turn computes none.
        skip: of each input, rows in its buffer before the first one that is read.
        in_rows: rows that are read, of each input.
        pad_top: rows of padding above them.
    """

    drop: int
    kept: int
    rows: int
    skip: tuple[int, ...] = ()
    in_rows: int = 0
    pad_top: int = 0


@dataclass(frozen=True)
class Buffer:
    """Where the rows of one map lie.

    Attributes:
        rows: how many it holds at most.
        carries: whether rows in it are needed from turn to turn; one that does not carry is empty
            between its last reader in a turn and its writer in the next.
    """

    value: Value
    rows: int
    carries: bool

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return row_bytes(self.value)

    @property
    def nbytes(self) -> int:
        """Bytes of the buffer."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class Stream:
    """A chain of nodes of a scheduled graph, and what each of its turns does.

    Attributes:
        first, last: places of its nodes in the schedule, both included.
        source: the map that it reads.
        step: rows of the source that a turn takes.
        feed: of the source, what each turn drops, keeps and takes; None where the source lies in
            the arena as a whole.
        bands: of each node, one band a turn.
        buffers: of each map that does not exist as a whole; the chain's last one does.
    """

    first: int
    last: int
    source: Value
    step: int
    feed: tuple[Band, ...] | None
    bands: tuple[tuple[Band, ...], ...]
    buffers: tuple[Buffer, ...]

    @property
    def turns(self) -> int:
        """How often the loop runs."""
        return len(self.bands[0])

    def buffer_of(self, value: Value) -> Buffer | None:
        """The rolling buffer of a map, None for one that exists as a whole."""
        return next((buffer for buffer in self.buffers if buffer.value == value), None)


def row_bytes(value: Value) -> int:
    """Bytes of one row of a map [1,H,W,C]."""
    return value.type.nbytes // value.type.shape[1]


def maps_of(node: Node) -> tuple[Value, ...]:
    """The maps that a node reads: weights and biases left out."""
    return node.inputs if node.op == "add" else node.inputs[:1]


def row_window(node: Node) -> tuple[int, int, int]:
    """(reach, stride, padding above) in rows: output row o reads the rows from
    o * stride - padding on, `reach` of them."""
    if node.op in _ELEMENTWISE:
        return 1, 1, 0
    kernel = node.inputs[1].type.shape[1] if node.op == "conv2d" else node.attrs["window"][0]
    dilation = node.attrs.get("dilation", (1, 1))[0]
    return (kernel - 1) * dilation + 1, node.attrs["strides"][0], node.attrs["padding"][0]


def chains(graph: Graph, first: int, end: int) -> Iterator[int]:
    """Last nodes of the chains that begin at node `first`: places before `end`, ascending."""
    users = graph.users()
    inside: set[Value] = set()
    source: Value | None = None
    for index in range(first, end):
        node = graph.nodes[index]
        if not is_streamable(graph, node):
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


def is_streamable(graph: Graph, node: Node) -> bool:
    """Whether a node's rows can be computed apart, from constants and a map of more than a row.

    Each of its windows holds a row of the map: a band has rows to read.
    """
    if node.op not in STREAMABLE or node.output.type.dtype is not DType.S8:
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
    """Of one map: absolute rows [start, end) that its buffer holds."""

    def __init__(self, value: Value, *, whole: bool) -> None:
        self.value, self.whole = value, whole
        self.height = value.type.shape[1]
        self.start = self.end = self.most = 0
        self.carries = False
        self.readers: list[tuple[_Rows, int, int]] = []
        """Of each node that reads the map: its output, its stride, its padding above."""

    @property
    def is_complete(self) -> bool:
        """Whether all rows have been written."""
        return self.end == self.height

    def needed(self) -> int:
        """The first row that a reader will still read; the height where none will."""
        needed = self.height
        for out, stride, padding in self.readers:
            if out.end < out.height:
                needed = min(needed, max(out.end * stride - padding, 0))
        return needed

    def take(self, rows: int) -> Band:
        """Makes room for new rows; those that no reader needs go."""
        drop = 0 if self.whole else min(max(self.needed() - self.start, 0), self.end - self.start)
        self.start += drop
        kept = self.end - self.start
        self.end += rows
        self.most = max(self.most, self.end - self.start)
        return Band(drop, kept, rows)


def stream(graph: Graph, first: int, last: int, step: int, *, fed: bool = False) -> Stream:
    """The turns of a chain.

    Args:
        first, last: a chain of `chains`.
        step: rows of the source that each turn takes.
        fed: the source is a rolling buffer too, whose rows arrive turn by turn.
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
    bands: list[list[Band]] = [[] for _ in nodes]
    feed: list[Band] = []
    result = rows[nodes[-1].output]
    # A fed source is taken whole, even where a stride leaves its last rows out.
    while not result.is_complete or (fed and not rows[source].is_complete):
        feed.append(rows[source].take(min(step, rows[source].height - rows[source].end)))
        for stage, of_node in zip(stages, bands, strict=True):
            of_node.append(_turn(*stage))
        if len(feed) > rows[source].height:
            raise InternalError(f"the chain from {nodes[0].name} on does not end")
        for held in rows.values():
            held.carries |= not held.whole and held.end > max(held.needed(), held.start)
    buffers = tuple(
        Buffer(value, held.most, held.carries) for value, held in rows.items() if not held.whole
    )
    turns = tuple(map(tuple, bands))
    return Stream(first, last, source, step, tuple(feed) if fed else None, turns, buffers)


def _turn(out: _Rows, maps: Sequence[_Rows], window: tuple[int, int, int]) -> Band:
    """Computes all rows of a node's output that can be computed by now."""
    reach, stride, padding = window
    begin = end = out.end
    if out.whole or out.needed() < out.height:
        end = out.height
        for read in maps:
            if not read.is_complete:
                end = min(end, (read.end + padding - reach) // stride + 1)
    if end <= begin:
        return Band(0, out.end - out.start, 0)
    band = out.take(end - begin)
    top = begin * stride - padding
    bottom = min((end - 1) * stride - padding + reach, maps[0].height)
    skip = tuple(max(top, 0) - read.start for read in maps)
    return Band(band.drop, band.kept, band.rows, skip, bottom - max(top, 0), max(-top, 0))
