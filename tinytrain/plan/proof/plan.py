"""Proves a plan by running it; shares nothing with the planner, not even live intervals.

Every byte of the arena remembers whose content it holds. A node may read a value only while all of
its bytes still hold that value's content; then its scratch and its outputs overwrite what they
cover.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops import OPS
from tinytrain.ir.ops_training import LOSS_OPS
from tinytrain.ir.ops_update import replaced
from tinytrain.kernel.table import works_in_place
from tinytrain.kernel.work import work_of
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.proof.channel_tiling import TilingRun
from tinytrain.plan.proof.line_buffer import ChainRun, meet
from tinytrain.plan.tiling import ChannelTiling

_NOBODY = -1


def check_plan(
    graph: Graph,
    offsets: Mapping[Value, int],
    scratch: Mapping[str, int],
    scratch_sizes: Mapping[str, int],
    nbytes: int,
    kernels: Mapping[str, str] | None = None,
    chains: Sequence[LineBufferedChain] = (),
    tilings: Sequence[ChannelTiling] = (),
) -> None:
    """Runs a scheduled graph over the byte owners of an arena.

    Args:
        graph: nodes in the order of execution.
        offsets: of the values in the arena; parameters, constants, views and scalars have none.
        scratch: offset of the scratch of each node that has any.
        scratch_sizes: bytes of it.
        nbytes: size of the arena.
        kernels: C functions that are called, by node name. What the table of kernels promises of
            one decides whether a depthwise layer may write over its input; none may without it.
        chains: line-buffered chains.
        tilings: runs that work on a tile of channels at a time.

    Raises:
        InternalError: a read of bytes that something else has overwritten, a place outside the
            arena, overlap within one node that its kernel does not allow, a parameter read after
            its update.
    """
    owner = np.full(nbytes, _NOBODY, dtype=np.int64)
    content: dict[Value, int] = {}
    elsewhere = {*graph.constants, *graph.parameters}
    stale: set[Value] = set()

    def span(value: Value) -> slice:
        start = offsets[value]
        if start < 0 or start + value.type.nbytes > nbytes:
            raise InternalError(f"{value} at {start} lies outside the arena of {nbytes} bytes")
        return slice(start, start + value.type.nbytes)

    def write(value: Value, identity: int) -> None:
        owner[span(value)] = identity
        content[value] = identity

    fed = {chain.source for chain in chains if chain.feed is not None}
    begins = {chain.first: chain for chain in chains}
    for k, value in enumerate(graph.inputs):
        if value in offsets and value not in fed:
            write(value, k)
    areas = {name: (start, scratch_sizes.get(name, 0)) for name, start in scratch.items()}
    loops = {tiling.first: tiling for tiling in tilings}
    done = tiled = -1

    def is_whole(value: Value) -> bool:
        return value not in stale and bool((owner[span(value)] == content.get(value)).all())

    def overwritten(node: Node, channels: int | None = None) -> set[Value]:
        return _overwritten(graph, node, (kernels or {}).get(node.name), channels)

    for step, node in enumerate(graph.nodes):
        if step in begins:
            chain = begins[step]
            source = content.get(chain.source)
            ChainRun(graph, chain, offsets, areas, owner, source).run()
            write(graph.nodes[chain.last].output, (step + 1) * 1000)
            done = chain.last
        if step in loops:
            TilingRun(graph, loops[step], offsets, areas, owner, is_whole, overwritten).execute()
            tiled = loops[step].last
            if (total := loops[step].total) is not None:
                write(total, (tiled + 1) * 1000)
        if step <= done:
            continue
        for value in node.inputs:
            if value in stale:
                raise InternalError(f"{node.name} reads parameter {value} after its update")
        if step <= tiled:
            stale.update(_replaced_by(graph, node))
            elsewhere.update(new for _, new in replaced(node))
            continue
        for value in node.inputs:
            if value in offsets and not (owner[span(value)] == content.get(value)).all():
                raise InternalError(f"{node.name} reads {value}, part of which is overwritten")
            if value not in offsets and value not in elsewhere and value not in graph.inputs:
                raise InternalError(f"{node.name} reads {value}, which has no place")
        _check_overlap(node, overwritten(node), offsets, scratch, scratch_sizes, nbytes)
        if node.name in scratch:
            start = scratch[node.name]
            owner[start : start + scratch_sizes[node.name]] = _NOBODY
        new_to_old = {new: old for old, new in replaced(node)}
        for k, value in enumerate(node.outputs):
            if node.op == "reshape":
                if offsets[value] != offsets[node.inputs[0]]:
                    raise InternalError(f"{node.name} moves a tensor that it should only rename")
                content[value] = content[node.inputs[0]]
            elif node.op == "merge_channels":
                elsewhere.add(value)
            elif value in new_to_old:
                if new_to_old[value] not in elsewhere:
                    raise InternalError(f"{node.name} updates {new_to_old[value]}, no parameter")
                elsewhere.add(value)
                stale.update(_replaced_by(graph, node))
            elif value in offsets:
                write(value, (step + 1) * 1000 + k)
            elif not (node.op in LOSS_OPS and k == 0):
                raise InternalError(f"{value} has no place")


def _replaced_by(graph: Graph, node: Node) -> set[Value]:
    """Parameters that an update writes over, and weights of which they are a part."""
    old = {value for value, _ in replaced(node)}
    return old | {
        other.output
        for other in graph.nodes
        if other.op == "merge_channels" and not old.isdisjoint(other.inputs)
    }


def _overwritten(graph: Graph, node: Node, kernel: str | None, channels: int | None) -> set[Value]:
    """Inputs that the last output may lie over; `channels`: of the tile of a call."""
    allowed = {node.inputs[k] for k in OPS[node.op].in_place}
    if kernel is not None and node.op in ("conv2d", "conv2d_grad_input"):
        work, a, b = work_of(graph, node), node.inputs[0].type, node.output.type
        if channels is not None and work is not None:
            work = replace(work, in_c=channels, out_c=channels, groups=channels, count=channels)
        alike = (a.shape, a.dtype) == (b.shape, b.dtype) and node.attrs["groups"] == a.shape[3]
        if alike and work is not None and works_in_place(kernel, work):
            allowed.add(node.inputs[0])
    return allowed


def _check_overlap(
    node: Node,
    allowed: set[Value],
    offsets: Mapping[Value, int],
    scratch: Mapping[str, int],
    scratch_sizes: Mapping[str, int],
    nbytes: int,
) -> None:
    def cover(value: Value) -> range:
        return range(offsets[value], offsets[value] + value.type.nbytes)

    outputs = [value for value in node.outputs if value in offsets]
    inputs = [value for value in node.inputs if value in offsets]
    for k, output in enumerate(outputs):
        for value in inputs:
            same_start = offsets[value] == offsets[output] and output is node.outputs[-1]
            if meet(cover(output), cover(value)) and not (value in allowed and same_start):
                raise InternalError(f"{node.name} writes {output} over its input {value}")
        for other in outputs[k + 1 :]:
            if meet(cover(output), cover(other)):
                raise InternalError(f"{node.name} writes {output} and {other} to one place")
    if scratch_sizes.get(node.name, 0):
        start = scratch[node.name]
        area = range(start, start + scratch_sizes[node.name])
        if start < 0 or area.stop > nbytes:
            raise InternalError(f"the scratch of {node.name} lies outside the arena")
        for value in inputs + outputs:
            if meet(area, cover(value)):
                raise InternalError(f"the scratch of {node.name} overlaps {value}")
