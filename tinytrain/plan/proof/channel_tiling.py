"""Proves a channel tiling by running it; shares nothing with the planner but the tiling.

Every byte remembers which tile of which gradient it holds. What is wide is found from the nodes
again: a gradient that only the run reads. Each node of the loop must treat channels apart; a node
that sums over them has to add to the sums.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops_update import SGD_OPS, replaced
from tinytrain.ir.types import DType
from tinytrain.plan.proof.line_buffer import meet
from tinytrain.plan.tiling import ChannelTiling

_NOBODY = -1
_FIRST_TILE = 1 << 50
_SUMS = _FIRST_TILE - 1
"""Above every number that the rest of the checker gives to contents."""


@dataclass
class TilingRun:
    """The bytes of an arena while a run works tile by tile.

    Attributes:
        offsets: of the values in the arena; the offset of a wide gradient is that of its tile.
        areas: offset and bytes of the scratch of each node that has any, and of the sums.
        owner: whose content each byte holds; changed in place.
        is_whole: whether all of a value from outside of the run is there.
        overwritten: inputs that the output of a node on so many channels may overwrite, by the
            table of kernels.
    """

    graph: Graph
    tiling: ChannelTiling
    offsets: Mapping[Value, int]
    areas: Mapping[str, tuple[int, int]]
    owner: np.ndarray
    is_whole: Callable[[Value], bool]
    overwritten: Callable[[Node, int], set[Value]]

    def __post_init__(self) -> None:
        self._nodes = self.graph.nodes[self.tiling.first : self.tiling.last + 1]
        self._loop = [node for node in self._nodes if node.name not in self.tiling.deferred]
        updates = {new for node in self._nodes for _, new in replaced(node)}
        made = [value for node in self._loop for value in node.outputs if value not in updates]
        self._wide = [value for value in made if value != self.tiling.total]
        self._number = {value: k for k, value in enumerate(self._wide)}

    def execute(self) -> None:
        """Runs all tiles, the deferred nodes, and the rounding of the sums.

        Raises:
            InternalError: something is read that is not there or overwritten although it is still
                needed, or a node cannot work on a tile.
        """
        self._judge()
        total = self.tiling.total
        sums = None if total is None else self._area(f"{total.name}_sums", 4 * total.type.size)
        if sums is not None:
            if sums.start % 4:
                raise InternalError(f"sums of {total} do not begin at a word")
            self.owner[sums.start : sums.stop] = _SUMS
        for tile in range(self.tiling.count):
            for node in self._loop:
                self._compute(node, tile, sums)
        for node in self._nodes:
            if node.name in self.tiling.deferred:
                self._read_outside(node)
                self._clobber(node, [])
        if total is not None and sums is not None:
            if not (self.owner[sums.start : sums.stop] == _SUMS).all():
                raise InternalError(f"sums of {total} are overwritten")
            if meet(self._span(total, total.type.nbytes), sums):
                raise InternalError(f"{total} lies over its sums")

    def _judge(self) -> None:
        """Demands that the nodes can run in tiles at all."""
        run = self.tiling
        if run.count * run.size != run.channels:
            raise InternalError(f"{run.count} tiles do not make up {run.channels} channels")
        head = self._loop[0]
        if any(old in head.inputs for node in self._loop for old, _ in replaced(node)):
            raise InternalError(f"{head.name} reads weights that an earlier tile has updated")
        inside = {node.name for node in self._nodes}
        for node in self._nodes[::-1]:
            wide = [value for value in node.inputs if value in self._wide]
            if node.name in run.deferred:
                if wide or node.op not in SGD_OPS:
                    raise InternalError(f"{node.name} cannot run after the loop")
                continue
            if run.total in node.inputs:
                raise InternalError(f"{node.name} reads a sum before it is complete")
            if node is not head and not wide:
                raise InternalError(f"{node.name} would run once per tile")
            self._judge_bytes(node)
            groups = node.attrs.get("groups")
            if node.op == "conv2d_grad_input" and groups == 1:
                if node is not head and node.outputs[0] != run.total:
                    raise InternalError(f"{node.name} would round a part of a sum")
            elif groups not in (None, 1, run.channels):
                raise InternalError(f"{node.name} has groups of channels that tiles cut")
        for value in self._wide:
            if value.type.shape[-1] != run.channels:
                raise InternalError(f"{value} has not the channels of the run")
        for node in self.graph.nodes:
            if node.name not in inside and any(value in self._wide for value in node.inputs):
                raise InternalError(f"{node.name} reads a gradient that never exists whole")

    def _judge_bytes(self, node: Node) -> None:
        """Demands that tiles begin at whole bytes of masks and fractions, and that a depthwise
        update has scratch for a copy of a tile of its saved map, whose channels lie apart."""
        if any(v.type.dtype is DType.BIT for v in node.inputs) and self.tiling.size % 8:
            raise InternalError(
                f"tiles of {self.tiling.size} channels cut bytes of {node.name}'s mask"
            )
        if node.op != "conv2d_grad_weight_sgd":
            return
        x, w = (node.inputs[k].type for k in (0, 2))
        if self.tiling.size * (w.size // self.tiling.channels) * node.attrs["fraction_bits"] % 8:
            raise InternalError(
                f"tiles of {self.tiling.size} channels cut bytes that {node.name} updates"
            )
        if node.attrs["groups"] > 1:
            self._area(node.name, x.nbytes // self.tiling.count)

    def _compute(self, node: Node, tile: int, sums: range | None) -> None:
        self._read_outside(node)
        reads = []
        for value in node.inputs:
            if value in self._number:
                area = self._tile(value)
                wanted = _FIRST_TILE + (tile << 20) + self._number[value]
                if not (self.owner[area.start : area.stop] == wanted).all():
                    raise InternalError(f"{node.name} reads a tile of {value} that is not there")
                reads.append((value, area))
        written = [value for value in node.outputs if value in self._number]
        self._clobber(node, [area for _, area in reads])
        for value in written:
            area = self._tile(value)
            allowed = self.overwritten(node, self.tiling.size)
            for source, other in reads:
                same = other == area and source in allowed
                if meet(area, other) and not same:
                    raise InternalError(f"{node.name} writes {value} over its input {source}")
            if node.name in self.areas and meet(area, self._area(node.name)):
                raise InternalError(f"the scratch of {node.name} overlaps {value}")
            number = _FIRST_TILE + (tile << 20) + self._number[value]
            self.owner[area.start : area.stop] = number
        if sums is not None and not (self.owner[sums.start : sums.stop] == _SUMS).all():
            raise InternalError(f"{node.name} writes over the sums of {self.tiling.total}")

    def _read_outside(self, node: Node) -> None:
        for value in node.inputs:
            if value in self.offsets and value not in self._number and not self.is_whole(value):
                raise InternalError(f"{node.name} reads {value}, part of which is overwritten")

    def _clobber(self, node: Node, reads: list[range]) -> None:
        if node.name not in self.areas:
            return
        area = self._area(node.name)
        inputs = [
            self._span(value, value.type.nbytes)
            for value in node.inputs
            if value in self.offsets and value not in self._number
        ]
        if any(meet(area, read) for read in (*reads, *inputs)):
            raise InternalError(f"the scratch of {node.name} overlaps what it reads")
        self.owner[area.start : area.stop] = _NOBODY

    def _tile(self, value: Value) -> range:
        return self._span(value, value.type.nbytes // self.tiling.count)

    def _span(self, value: Value, nbytes: int) -> range:
        return self._inside(str(value), self.offsets[value], nbytes)

    def _area(self, name: str, nbytes: int | None = None) -> range:
        start, size = self.areas.get(name, (0, 0))
        if nbytes is not None and size < nbytes:
            raise InternalError(f"{name} takes {nbytes} bytes and has {size}")
        return self._inside(name, start, size)

    def _inside(self, name: str, start: int, nbytes: int) -> range:
        if start < 0 or start + nbytes > len(self.owner):
            raise InternalError(f"{name} lies outside the arena")
        return range(start, start + nbytes)
