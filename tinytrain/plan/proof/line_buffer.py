"""Proves a line-buffered chain by running it; shares nothing with the planner but the chain.

Every byte remembers which row of which map it holds. A stripe may read only rows that its window
asks for, where they still lie; the geometry is derived from the nodes again.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.plan.chain import LineBufferedChain, Stripe

_NOBODY = -1
_FIRST_ROW = 1 << 40
"""Above every number that the rest of the checker gives to contents."""


class ChainRun:
    """The bytes of an arena while a chain runs.

    Args:
        offsets: of the maps; the offset of a line buffer is that of its first byte.
        scratch: offset and bytes of the scratch of each node that has any.
        owner: whose content each byte holds; changed in place.
        source: the number of the source's content, None if its rows arrive step by step.
    """

    def __init__(
        self,
        graph: Graph,
        chain: LineBufferedChain,
        offsets: Mapping[Value, int],
        scratch: Mapping[str, tuple[int, int]],
        owner: np.ndarray,
        source: int | None,
    ) -> None:
        self._nodes = graph.nodes[chain.first : chain.last + 1]
        self._chain, self._offsets, self._scratch, self._owner = chain, offsets, scratch, owner
        self._source = source
        maps = [chain.source, *(node.output for node in self._nodes)]
        self._numbers = {value: index for index, value in enumerate(maps)}
        self._done = dict.fromkeys(maps, 0)

    def run(self) -> None:
        """Runs all steps.

        Raises:
            InternalError: a row is read that is not where it should be, or is never computed.
        """
        for step in range(self._chain.steps):
            if self._chain.feed is not None:
                stripe = self._chain.feed[step]
                self._write(self._chain.source, stripe, self._roll(self._chain.source, stripe))
            for node, stripes in zip(self._nodes, self._chain.stripes, strict=True):
                if stripes[step].rows:
                    self._compute(node, stripes[step])
        # A stride may skip the last rows of a map in between.
        last = self._nodes[-1].output
        if self._done[last] != last.type.shape[1]:
            raise InternalError(f"{self._nodes[-1].name} computes too few rows")
        source = self._chain.source
        if self._chain.feed is not None and self._done[source] != source.type.shape[1]:
            raise InternalError(f"too few rows of {source} arrive")
        self._expect("what follows", last, 0, 0, last.type.shape[1])

    def _compute(self, node: Node, stripe: Stripe) -> None:
        y = node.output
        begin, end = self._done[y], self._done[y] + stripe.rows
        if end > y.type.shape[1]:
            raise InternalError(f"{node.name} computes more rows than there are")
        written = self._roll(y, stripe)
        reads = []
        maps = node.inputs if node.op == "add" else node.inputs[:1]
        for value, skip in zip(maps, stripe.skip, strict=True):
            top, bottom, above = _rows_read(node, begin, end, value.type.shape[1])
            if top >= bottom or (stripe.in_rows, stripe.pad_top) != (bottom - top, above):
                raise InternalError(f"{node.name} reads other rows than its window asks for")
            reads.append(self._expect(node.name, value, skip, top, bottom))
        start, size = self._scratch.get(node.name, (0, 0))
        area = range(start, start + size)
        self._owner[start : start + size] = _NOBODY
        if start < 0 or area.stop > len(self._owner):
            raise InternalError(f"the scratch of {node.name} lies outside the arena")
        if any(meet(written, other) for other in (area, *reads)):
            raise InternalError(f"{node.name} writes over what it reads")
        if any(meet(area, read) for read in reads):
            raise InternalError(f"the scratch of {node.name} overlaps what it reads")
        self._write(y, stripe, written)

    def _roll(self, value: Value, stripe: Stripe) -> range:
        """Moves the kept rows to the front; returns the place of the new ones."""
        row = value.type.nbytes // value.type.shape[1]
        base = self._offsets[value]
        start = base + stripe.drop * row
        kept = self._owner[start : start + stripe.kept * row].copy()
        self._owner[base : base + len(kept)] = kept
        begin = base + stripe.kept * row
        return range(begin, begin + stripe.rows * row)

    def _write(self, value: Value, stripe: Stripe, area: range) -> None:
        if area.stop > len(self._owner):
            raise InternalError(f"{value} leaves the arena")
        row = value.type.nbytes // value.type.shape[1]
        for k in range(stripe.rows):
            start = area.start + k * row
            self._owner[start : start + row] = self._row(value, self._done[value])
            self._done[value] += 1

    def _expect(self, reader: str, value: Value, skip: int, top: int, bottom: int) -> range:
        """Demands that rows [top, bottom) of a map begin `skip` rows into its buffer."""
        row = value.type.nbytes // value.type.shape[1]
        begin = self._offsets[value] + skip * row
        for k in range(top, bottom):
            start = begin + (k - top) * row
            held = self._owner[start : start + row]
            wanted = self._row(value, k)
            if len(held) != row or not (held == wanted).all():
                raise InternalError(f"{reader} reads row {k} of {value}, which is not there")
        return range(begin, begin + (bottom - top) * row)

    def _row(self, value: Value, row: int) -> int:
        if value == self._chain.source and self._source is not None:
            return self._source
        return _FIRST_ROW + (self._numbers[value] << 20) + row


def _rows_read(node: Node, begin: int, end: int, height: int) -> tuple[int, int, int]:
    """(first, end, padding): the rows [first, end) that output rows [begin, end) read."""
    if node.op in ("add", "activation"):
        return begin, end, 0
    taps = node.inputs[1].type.shape[1] if node.op == "conv2d" else node.attrs["window"][0]
    apart = node.attrs["dilation"][0] if node.op == "conv2d" else 1
    first = begin * node.attrs["strides"][0] - node.attrs["padding"][0]
    last = (end - 1) * node.attrs["strides"][0] - node.attrs["padding"][0] + (taps - 1) * apart
    return max(first, 0), min(last + 1, height), max(-first, 0)


def meet(a: range, b: range) -> bool:
    """Whether two ranges of bytes share any."""
    return a.start < b.stop and b.start < a.stop
