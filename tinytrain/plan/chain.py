"""A line-buffered chain: what each step of it does to the rows of every map (docs/memory.md)."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Value


@dataclass(frozen=True)
class Stripe:
    """The rows of one map that one step computes, and what happens to its line buffer.

    Attributes:
        drop: rows that leave the front of the buffer before anything is written.
        kept: rows that then move to the front.
        rows: new rows, written behind those; 0 where the step computes none.
        skip: for each input, the rows in its buffer above the first one that is read.
        in_rows: rows that are read of each input.
        pad_top: rows of padding above them.
    """

    drop: int
    kept: int
    rows: int
    skip: tuple[int, ...] = ()
    in_rows: int = 0
    pad_top: int = 0


@dataclass(frozen=True)
class LineBuffer:
    """The buffer of one map of a chain.

    Attributes:
        rows: the most rows that it holds.
        carries: whether it holds rows from one step to the next; a buffer that does not is live
            only from its writer to its last reader within each step.
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
        """Size of the buffer, in bytes."""
        return self.rows * self.row_bytes


@dataclass(frozen=True)
class LineBufferedChain:
    """A chain of consecutive nodes of a scheduled graph, and what each of its steps does.

    Attributes:
        first, last: indices of its first and its last node in the schedule.
        source: the map that it reads.
        rows_per_step: rows of the source that a step takes.
        feed: for each step, the rows of the source that leave, stay and arrive; None where the
            whole source lies in the arena.
        stripes: for each node, one stripe per step.
        buffers: one for each map that does not exist as a whole; the output of the last node does.
    """

    first: int
    last: int
    source: Value
    rows_per_step: int
    feed: tuple[Stripe, ...] | None
    stripes: tuple[tuple[Stripe, ...], ...]
    buffers: tuple[LineBuffer, ...]

    @property
    def steps(self) -> int:
        """Iterations of the loop."""
        return len(self.stripes[0])

    def buffer_of(self, value: Value) -> LineBuffer | None:
        """The line buffer of a map; None for a map that exists as a whole."""
        return next((buffer for buffer in self.buffers if buffer.value == value), None)


def row_bytes(value: Value) -> int:
    """Bytes of one row of a map [1,H,W,C]."""
    return value.type.nbytes // value.type.shape[1]
