"""Proves a plan by running it; shares nothing with the planner but the plan, which is data.

Every byte of the arena is marked with the content that it holds. A node may read a value only while
all of its bytes still hold that content; then its workspace and its outputs overwrite what they
cover. Not even live intervals are taken from the planner.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.operations import replaced, role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.kernel.nodes import work_of
from tinytrain.kernel.table import works_in_place
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.arena_bytes import ArenaBytes, meet
from tinytrain.plan.proof.channel_tiling import TilingRun
from tinytrain.plan.proof.line_buffer import ChainRun
from tinytrain.plan.tiling import ChannelTiling


def check_plan(plan: Plan) -> None:
    """Runs the nodes of a plan over the bytes of its arena, each marked with its content.

    What the table of kernels promises of the chosen kernel decides whether a depthwise layer may
    write over its input.

    Raises:
        InternalError: a read of bytes that something else has overwritten, a place outside the
            arena, overlap within one node that its kernel does not allow, or a parameter that is
            read after its update.
    """
    _PlanRun(plan).run()


def check_kept(plan: Plan, nodes: int, spans: Sequence[tuple[int, int]]) -> None:
    """The same for a step on a sample that was kept, as the frozen layers had left it.

    Args:
        nodes: of the frozen layers, the first ones of the graph; with 0 the input is kept.
        spans: (offset, bytes) of the arena that are kept. All else there is unknown.

    Raises:
        InternalError: also where a node behind them reads what was not kept.
    """
    _PlanRun(plan).run(nodes, spans)


class _PlanRun:
    """The state of the arena and of the parameters while a plan runs.

    The key of a content is the value that was written; a reshape gives the same content another
    name.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan, self._graph, self._kernels = plan, plan.graph, plan.kernels
        self._memory = ArenaBytes(plan)
        self._content: dict[Value, Hashable] = {}
        self._elsewhere = {*plan.graph.constants, *plan.graph.parameters}
        self._stale: set[Value] = set()
        self._views: dict[Value, list[Value]] = {}
        for node in plan.graph.nodes:
            if node.op == "merge_channels":
                for value in node.inputs:
                    self._views.setdefault(value, []).append(node.output)

    def run(self, kept: int = -1, spans: Sequence[tuple[int, int]] = ()) -> None:
        """Runs all nodes; see `check_plan`. In front of node `kept` all but spans is lost."""
        plan = self._plan
        chains = {chain.first: chain for chain in plan.chains}
        tilings = {tiling.first: tiling for tiling in plan.tilings}
        fed = {chain.source for chain in plan.chains if chain.feed is not None}
        for value in self._graph.inputs:
            if value in plan.offsets and value not in fed:
                self._write(value)
        chained = tiled = -1
        for index, node in enumerate(self._graph.nodes):
            if index == kept:
                self._memory.keep(spans)
            if index in chains:
                self._run_chain(chains[index])
                chained = chains[index].last
            if index in tilings:
                self._run_tiling(tilings[index])
                tiled = tilings[index].last
            if index <= chained:
                continue
            self._read_parameters(node)
            if index <= tiled:
                self._update(node)
            else:
                self._run_node(node)

    def _run_chain(self, chain: LineBufferedChain) -> None:
        source = self._content.get(chain.source)
        ChainRun(self._graph, chain, self._memory, source).run()
        self._write(self._graph.nodes[chain.last].output)

    def _run_tiling(self, tiling: ChannelTiling) -> None:
        run = TilingRun(self._plan, tiling, self._memory, self._is_whole, self._may_overwrite)
        run.run()
        if tiling.total is not None:
            self._write(tiling.total)

    def _run_node(self, node: Node) -> None:
        """Runs a node as a whole: it reads, then writes workspace and outputs."""
        self._read_arena(node)
        self._check_overlap(node)
        self._memory.clear(self._memory.workspace(node.name))
        self._update(node)
        updated = {new for _, new in replaced(node)}
        for position, value in enumerate(node.outputs):
            if node.op == "reshape":
                if self._plan.offsets[value] != self._plan.offsets[node.inputs[0]]:
                    raise InternalError(f"{node.name} moves a tensor that it should only rename")
                self._content[value] = self._content[node.inputs[0]]
            elif node.op == "merge_channels":
                self._elsewhere.add(value)
            elif value in self._plan.offsets:
                self._write(value)
            elif not (value in updated or (role_of(node) is Role.LOSS and position == 0)):
                raise InternalError(f"{value} has no place")

    def _read_parameters(self, node: Node) -> None:
        """Demands that no parameter that a node reads has been updated."""
        for value in node.inputs:
            if value in self._stale:
                raise InternalError(f"{node.name} reads parameter {value} after its update")

    def _read_arena(self, node: Node) -> None:
        """Demands that everything else that a node reads is where it should be."""
        for value in node.inputs:
            if value in self._plan.offsets:
                if not self._memory.holds(self._memory.area(value), self._content.get(value)):
                    raise InternalError(f"{node.name} reads {value}, part of which is overwritten")
            elif value not in self._elsewhere and value not in self._graph.inputs:
                raise InternalError(f"{node.name} reads {value}, which has no place")

    def _update(self, node: Node) -> None:
        """Replaces the parameters that a node writes, and weights of which they are a part."""
        for old, new in replaced(node):
            if old not in self._elsewhere:
                raise InternalError(f"{node.name} updates {old}, no parameter")
            self._elsewhere.add(new)
            self._stale.update((old, *self._views.get(old, ())))

    def _check_overlap(self, node: Node) -> None:
        """Demands that what a node reads and writes lies apart, but for what it may overwrite."""
        offsets, area = self._plan.offsets, self._memory.area
        outputs = [value for value in node.outputs if value in offsets]
        inputs = [value for value in node.inputs if value in offsets]
        allowed = self._may_overwrite(node)
        for k, output in enumerate(outputs):
            for value in inputs:
                in_place = offsets[value] == offsets[output] and output is node.outputs[-1]
                if meet(area(output), area(value)) and not (value in allowed and in_place):
                    raise InternalError(f"{node.name} writes {output} over its input {value}")
            for other in outputs[k + 1 :]:
                if meet(area(output), area(other)):
                    raise InternalError(f"{node.name} writes {output} and {other} to one place")
        for value in inputs + outputs:
            if meet(self._memory.workspace(node.name), area(value)):
                raise InternalError(f"the workspace of {node.name} overlaps {value}")

    def _may_overwrite(self, node: Node, channels: int | None = None) -> set[Value]:
        """Inputs that the last output may lie over; `channels`: of a tile, if it works on one."""
        allowed = {node.inputs[k] for k in traits_of(node).in_place}
        kernel = self._kernels.get(node.name)
        reads_again = "follow" in node.attrs
        if kernel is not None and node.op in ("conv2d", "conv2d_grad_input") and not reads_again:
            work, a, b = work_of(self._graph, node), node.inputs[0].type, node.output.type
            if channels is not None and work is not None:
                work = replace(work, in_c=channels, out_c=channels, groups=channels, count=channels)
            alike = (a.shape, a.dtype) == (b.shape, b.dtype) and node.attrs["groups"] == a.shape[3]
            if alike and work is not None and works_in_place(kernel, work):
                allowed.add(node.inputs[0])
        return allowed

    def _write(self, value: Value) -> None:
        self._memory.fill(self._memory.area(value), value)
        self._content[value] = value

    def _is_whole(self, value: Value) -> bool:
        """Whether all of a value is there, and it is no parameter that has been updated."""
        held = self._memory.holds(self._memory.area(value), self._content.get(value))
        return held and value not in self._stale
