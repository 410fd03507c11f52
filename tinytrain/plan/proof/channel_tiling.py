"""Proves a channel tiling by running it; shares nothing with the planner but the tiling.

Every byte remembers which tile of which gradient it holds. What is wide is found from the nodes
again: a gradient that only the run reads. Each node of the loop must treat channels apart; a node
that sums over them has to add to the sums.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.operations import replaced, role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.arena_bytes import ArenaBytes, meet
from tinytrain.plan.tiling import ChannelTiling

_SUMS = "sums"


@dataclass
class TilingRun:
    """The bytes of an arena while a run works tile by tile.

    Attributes:
        plan: that the tiling belongs to.
        memory: the arena; changed in place.
        is_whole: whether all of a value from outside of the run is there.
        may_overwrite: inputs that the output of a node on so many channels may overwrite, by the
            table of kernels.
    """

    plan: Plan
    tiling: ChannelTiling
    memory: ArenaBytes
    is_whole: Callable[[Value], bool]
    may_overwrite: Callable[[Node, int], set[Value]]

    def __post_init__(self) -> None:
        self._nodes = self.plan.graph.nodes[self.tiling.first : self.tiling.last + 1]
        self._loop = [node for node in self._nodes if node.name not in self.tiling.deferred]
        updates = {new for node in self._nodes for _, new in replaced(node)}
        made = [value for node in self._loop for value in node.outputs if value not in updates]
        self._wide = {value for value in made if value != self.tiling.total}

    def run(self) -> None:
        """Runs all tiles, the deferred nodes, and the rounding of the sums.

        Raises:
            InternalError: something is read that is not there or overwritten although it is still
                needed, or a node cannot work on a tile.
        """
        self._judge()
        total, sums = self.tiling.total, range(0)
        if total is not None:
            sums = self.memory.workspace(f"{total.name}_sums", least=4 * total.type.size)
            if sums.start % 4:
                raise InternalError(f"sums of {total} do not begin at a word")
            self.memory.fill(sums, _SUMS)
        for tile in range(self.tiling.count):
            for node in self._loop:
                self._compute(node, tile)
                if sums and not self.memory.holds(sums, _SUMS):
                    raise InternalError(f"{node.name} writes over the sums of {total}")
        for node in self._nodes:
            if node.name in self.tiling.deferred:
                self._read_outside(node)
                self._clear_scratch(node, [])
        if total is not None:
            if not self.memory.holds(sums, _SUMS):
                raise InternalError(f"sums of {total} are overwritten")
            if meet(self.memory.area(total), sums):
                raise InternalError(f"{total} lies over its sums")

    def _judge(self) -> None:
        """Demands that the nodes can run in tiles at all."""
        tiling = self.tiling
        if tiling.count * tiling.size != tiling.channels:
            raise InternalError(f"{tiling.count} tiles do not make up {tiling.channels} channels")
        head = self._loop[0]
        if any(old in head.inputs for node in self._loop for old, _ in replaced(node)):
            raise InternalError(f"{head.name} reads weights that an earlier tile has updated")
        for node in self._nodes:
            self._judge_node(node, is_head=node is head)
        for value in self._wide:
            if value.type.shape[-1] != tiling.channels:
                raise InternalError(f"{value} has not the channels of the run")
        inside = {node.name for node in self._nodes}
        for node in self.plan.graph.nodes:
            if node.name not in inside and not self._wide.isdisjoint(node.inputs):
                raise InternalError(f"{node.name} reads a gradient that never exists whole")

    def _judge_node(self, node: Node, *, is_head: bool) -> None:
        """Demands that a node can work on a tile, or after all tiles if it is deferred."""
        is_apart = self._wide.isdisjoint(node.inputs)
        if node.name in self.tiling.deferred:
            if not is_apart or role_of(node) is not Role.UPDATE:
                raise InternalError(f"{node.name} cannot run after the loop")
            return
        if self.tiling.total in node.inputs:
            raise InternalError(f"{node.name} reads a sum before it is complete")
        if is_apart and not is_head:
            raise InternalError(f"{node.name} would run once per tile")
        self._judge_bytes(node)
        groups = node.attrs.get("groups")
        if node.op == "conv2d_grad_input" and groups == 1:
            if not is_head and node.outputs[0] != self.tiling.total:
                raise InternalError(f"{node.name} would round a part of a sum")
        elif groups not in (None, 1, self.tiling.channels):
            raise InternalError(f"{node.name} has groups of channels that tiles cut")

    def _judge_bytes(self, node: Node) -> None:
        """Demands that tiles begin at whole bytes of masks and fractions, and that a depthwise
        update has workspace for a copy of a tile of its saved map, whose channels lie apart."""
        size = self.tiling.size
        if any(value.type.dtype is DType.BIT for value in node.inputs) and size % 8:
            raise InternalError(f"tiles of {size} channels cut bytes of {node.name}'s mask")
        if node.op != "conv2d_grad_weight_sgd":
            return
        x, w = (node.inputs[k].type for k in (0, 2))
        if size * (w.size // self.tiling.channels) * node.attrs["fraction_bits"] % 8:
            raise InternalError(f"tiles of {size} channels cut bytes that {node.name} updates")
        if node.attrs["groups"] > 1:
            self.memory.workspace(node.name, least=x.nbytes // self.tiling.count)

    def _compute(self, node: Node, tile: int) -> None:
        """Runs a node for one tile."""
        self._read_outside(node)
        reads = []
        for value in node.inputs:
            if value in self._wide:
                if not self.memory.holds(self._area(value), ("tile", value, tile)):
                    raise InternalError(f"{node.name} reads a tile of {value} that is not there")
                reads.append((value, self._area(value)))
        self._clear_scratch(node, [area for _, area in reads])
        for value in node.outputs:
            if value not in self._wide:
                continue
            area, allowed = self._area(value), self.may_overwrite(node, self.tiling.size)
            for source, other in reads:
                if meet(area, other) and not (other == area and source in allowed):
                    raise InternalError(f"{node.name} writes {value} over its input {source}")
            if meet(area, self.memory.workspace(node.name)):
                raise InternalError(f"the workspace of {node.name} overlaps {value}")
            self.memory.fill(area, ("tile", value, tile))

    def _outside(self, node: Node) -> list[Value]:
        """The inputs of a node that lie in the arena and come from outside of the run."""
        return [v for v in node.inputs if v in self.plan.offsets and v not in self._wide]

    def _read_outside(self, node: Node) -> None:
        for value in self._outside(node):
            if not self.is_whole(value):
                raise InternalError(f"{node.name} reads {value}, part of which is overwritten")

    def _clear_scratch(self, node: Node, reads: list[range]) -> None:
        """Writes the workspace of a node, which must not lie over what the node reads."""
        workspace = self.memory.workspace(node.name)
        inputs = [self.memory.area(value) for value in self._outside(node)]
        if any(meet(workspace, read) for read in (*reads, *inputs)):
            raise InternalError(f"the workspace of {node.name} overlaps what it reads")
        self.memory.clear(workspace)

    def _area(self, value: Value) -> range:
        """The bytes of a tile of a wide gradient."""
        return self.memory.area(value, 0, value.type.nbytes // self.tiling.count)
