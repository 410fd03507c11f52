"""Proves a line-buffered chain by running it; shares nothing with the planner but the chain.

Every byte remembers which row of which map it holds. A stripe may read only rows that its window
asks for, where they still lie; the geometry is derived from the nodes again.
"""

from __future__ import annotations

from collections.abc import Hashable

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.plan.chain import LineBufferedChain, Stripe
from tinytrain.plan.proof.arena_bytes import ArenaBytes, meet


class ChainRun:
    """The bytes of an arena while a chain runs.

    Args:
        memory: the arena; changed in place.
        source: the key of the source's content; None if its rows arrive step by step.
    """

    def __init__(
        self, graph: Graph, chain: LineBufferedChain, memory: ArenaBytes, source: Hashable | None
    ) -> None:
        self._chain, self._memory, self._source = chain, memory, source
        self._nodes = graph.nodes[chain.first : chain.last + 1]
        self._done = dict.fromkeys([chain.source, *(node.output for node in self._nodes)], 0)

    def run(self) -> None:
        """Runs all steps.

        Raises:
            InternalError: a row is read that is not where it should be, or is never computed.
        """
        chain = self._chain
        for step in range(chain.steps):
            if chain.feed is not None:
                self._write(chain.source, self._roll(chain.source, chain.feed[step]))
            for node, stripes in zip(self._nodes, chain.stripes, strict=True):
                if stripes[step].rows:
                    self._compute(node, stripes[step])
        # A stride may skip the last rows of a map in between.
        last = self._nodes[-1].output
        if self._done[last] != _height(last):
            raise InternalError(f"{self._nodes[-1].name} computes too few rows")
        if chain.feed is not None and self._done[chain.source] != _height(chain.source):
            raise InternalError(f"too few rows of {chain.source} arrive")
        self._expect("what follows", last, 0, range(_height(last)))

    def _compute(self, node: Node, stripe: Stripe) -> None:
        y = node.output
        rows = range(self._done[y], self._done[y] + stripe.rows)
        if rows.stop > _height(y):
            raise InternalError(f"{node.name} computes more rows than there are")
        written = self._roll(y, stripe)
        reads = []
        maps = node.inputs if node.op in ("add", "subtract") else node.inputs[:1]
        for value, skip in zip(maps, stripe.skip, strict=True):
            wanted, above = _rows_read(node, rows, _height(value))
            if not wanted or (stripe.in_rows, stripe.pad_top) != (len(wanted), above):
                raise InternalError(f"{node.name} reads other rows than its window asks for")
            reads.append(self._expect(node.name, value, skip, wanted))
        workspace = self._memory.workspace(node.name)
        self._memory.clear(workspace)
        if any(meet(written, other) for other in (workspace, *reads)):
            raise InternalError(f"{node.name} writes over what it reads")
        if any(meet(workspace, read) for read in reads):
            raise InternalError(f"the workspace of {node.name} overlaps what it reads")
        self._write(y, written)

    def _roll(self, value: Value, stripe: Stripe) -> range:
        """Moves the kept rows to the front; returns the area of the new ones."""
        row = _row_bytes(value)
        kept = self._memory.area(value, stripe.drop * row, stripe.kept * row)
        self._memory.move(kept, self._memory.area(value, 0, stripe.kept * row))
        return self._memory.area(value, stripe.kept * row, stripe.rows * row)

    def _write(self, value: Value, area: range) -> None:
        """Writes the next rows of a map to an area."""
        row = _row_bytes(value)
        for start in range(area.start, area.stop, row):
            self._memory.fill(range(start, start + row), self._key(value, self._done[value]))
            self._done[value] += 1

    def _expect(self, reader: str, value: Value, skip: int, rows: range) -> range:
        """Demands that rows of a map begin `skip` rows into its buffer; returns their area."""
        row = _row_bytes(value)
        for k, wanted in enumerate(rows):
            area = self._memory.area(value, (skip + k) * row, row)
            if not self._memory.holds(area, self._key(value, wanted)):
                raise InternalError(f"{reader} reads row {wanted} of {value}, which is not there")
        return self._memory.area(value, skip * row, len(rows) * row)

    def _key(self, value: Value, row: int) -> Hashable:
        if value == self._chain.source and self._source is not None:
            return self._source
        return "row", value, row


def _height(value: Value) -> int:
    return value.type.shape[1]


def _row_bytes(value: Value) -> int:
    return value.type.nbytes // value.type.shape[1]


def _rows_read(node: Node, rows: range, height: int) -> tuple[range, int]:
    """The rows of a map that some output rows read, and the rows of padding above them."""
    if node.op in ("add", "subtract", "activation"):
        return rows, 0
    taps = node.inputs[1].type.shape[1] if node.op == "conv2d" else node.attrs["window"][0]
    apart = node.attrs["dilation"][0] if node.op == "conv2d" else 1
    first = rows.start * node.attrs["strides"][0] - node.attrs["padding"][0]
    last = (rows.stop - 1) * node.attrs["strides"][0] - node.attrs["padding"][0]
    end = last + (taps - 1) * apart + 1
    return range(max(first, 0), min(end, height)), max(-first, 0)
