"""Channel tiling: runs of backward nodes that work on some channels of a wide map at a time.

Between the input gradients of two layers, every reader of a wide gradient often treats its channels
apart: from `project`, through a depthwise layer, to `expand`. Such a run becomes a loop over tiles
of the channels: all of its nodes run for one tile, then for the next, so the wide gradients never
exist whole. The input gradient that ends the run needs all channels: each tile adds to its sums in
s32, which are rounded once, after the loop, so every bit stays the same. Updates of narrow tensors
within the run are deferred until after the loop; each has random numbers of its own, so they stay
the same, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.operations import loss_index, replaced, role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.plan.tiling import ChannelTiling

TILE_COUNTS = (2, 3, 4, 6, 8, 12, 16)
"""Tiles that a run may be divided into."""

_LEAST = 8
"""Fewest channels of a tile: kernels work on that many at once."""


def tileable_runs(graph: Graph) -> list[ChannelTiling]:
    """The runs that can be tiled, in order, each as one tile yet; no two share a node."""
    last = last_use(graph)
    merged = {node.output for node in graph.nodes if role_of(node) is Role.VIEW}
    found: list[ChannelTiling] = []
    for index in range(loss_index(graph), len(graph.nodes)):
        if not found or index > found[-1].last:
            run = _run(graph, index, last, merged)
            if run is not None:
                found.append(run)
    return found


def tilings_of(graph: Graph, run: ChannelTiling) -> list[ChannelTiling]:
    """A run with every count of tiles that its kernels can work on."""
    return [
        replace(run, count=count)
        for count in TILE_COUNTS
        if run.channels % count == 0
        and run.channels // count >= _LEAST
        and all(_is_divisible(node, run.channels // count) for node in run.nodes(graph))
    ]


def _run(
    graph: Graph, first: int, last: Mapping[Value, int], merged: set[Value]
) -> ChannelTiling | None:
    """The run from an input gradient to the last reader of a wide one; None if there is none."""
    head = graph.nodes[first]
    if not _is_plain_gradient(head) or head.inputs[1] in merged:
        return None
    channels = head.output.type.shape[3]
    wide, deferred = [head.output], []
    total: Value | None = None
    for place in range(first + 1, len(graph.nodes)):
        node = graph.nodes[place]
        if not any(value in wide for value in node.inputs):
            if role_of(node) is not Role.UPDATE:
                return None
            deferred.append(node.name)
            continue
        if _is_plain_gradient(node):
            if total is not None:
                return None
            total = node.output
        elif _keeps_channels(node, channels, merged):
            if role_of(node) is not Role.UPDATE:
                wide.append(node.output)
        else:
            return None
        if all(last[value] <= place for value in wide):
            return ChannelTiling(first, place, channels, 1, tuple(wide), total, tuple(deferred))
    return None


def _is_plain_gradient(node: Node) -> bool:
    """Whether it is an integer input gradient that sums over channels."""
    return (
        node.op == "conv2d_grad_input"
        and node.attrs["groups"] == 1
        and node.output.type.dtype is not DType.F32
    )


def _keeps_channels(node: Node, channels: int, merged: set[Value]) -> bool:
    """Whether a node treats each channel of a wide gradient without the others."""
    if traits_of(node).by_channels:
        return True
    if node.op == "conv2d_grad_input":
        shape = node.inputs[0].type.shape
        return is_depthwise(node) and shape[3] == channels and node.inputs[1] not in merged
    if node.op == "conv2d_grad_weight_sgd":
        x, g = (value.type.shape for value in node.inputs[:2])
        is_whole = g[3] == channels and node.inputs[2].type.shape[0] == channels
        return is_whole and (node.attrs["groups"] == 1 or x[3] == channels == node.attrs["groups"])
    return False


def _is_divisible(node: Node, size: int) -> bool:
    """Whether tiles of `size` channels begin at whole bytes of everything that a node works on."""
    if any(value.type.dtype is DType.BIT for value in node.inputs):
        return size % 8 == 0
    if traits_of(node).overwrites:
        trained = replaced(node)[0][0].type
        bits: int = node.attrs["fraction_bits"]
        return size * (trained.size // trained.shape[0]) * bits % 8 == 0
    return True
