"""Chooses a kernel for each node of a channel tiling: one kernel for all of its tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tinytrain.ir.graph import Graph, Node
from tinytrain.kernel.choose import Choice, choose, narrower
from tinytrain.kernel.nodes import work_of
from tinytrain.kernel.work import Work, is_depthwise
from tinytrain.plan.place import aligned
from tinytrain.plan.tiling import ChannelTiling

_CALL = 40
"""Instructions around the call for a tile: its arguments move along."""
_SUMMED = 6
"""Instructions per element of the sums that a tile adds to."""
ROUNDED = 18
"""Instructions per element of the sums that is rounded after the loop."""


def choose_for_tiles(
    graph: Graph, tiling: ChannelTiling, isa: str, limits: Mapping[str, int] | None = None
) -> dict[str, Choice]:
    """The kernel of each node of a tiled run that has a choice, by node name.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        limits: the most workspace that a node may take, in bytes by node name.
    """
    choices = {}
    for node in tiling.nodes(graph):
        work = tile_work(graph, node, tiling)
        if work is not None:
            limit = (limits or {}).get(node.name)
            if limit is not None:
                limit -= copied_bytes(node, tiling)
            choices[node.name] = _of_all(node, tiling, choose(work, isa, limit))
    return choices


def narrower_for_tiles(graph: Graph, node: Node, tiling: ChannelTiling, isa: str) -> list[Choice]:
    """The other choices for a node of a tiled run, with less workspace, the largest first."""
    work = tile_work(graph, node, tiling)
    if work is None:
        return []
    return [_of_all(node, tiling, choice) for choice in narrower(work, isa)]


def copied_bytes(node: Node, tiling: ChannelTiling) -> int:
    """Bytes of workspace for a copy of a tile of a saved activation, whose channels lie apart."""
    if node.op != "conv2d_grad_weight_sgd" or not is_depthwise(node):
        return 0
    return aligned(node.inputs[0].type.nbytes // tiling.count)


def tile_work(graph: Graph, node: Node, tiling: ChannelTiling) -> Work | None:
    """The work of one call, for one tile; None for a node without a choice of kernels."""
    work = work_of(graph, node)
    if work is None:
        return None
    size = tiling.size
    if not work.windowed:
        return replace(work, count=size)
    if is_depthwise(node):
        return replace(work, in_c=size, out_c=size, groups=size, count=size)
    if node.outputs[0] in tiling.wide:
        return replace(work, in_c=size, segments=(size,), step=tiling.channels)
    return replace(work, out_c=size)


def _of_all(node: Node, tiling: ChannelTiling, choice: Choice) -> Choice:
    """The choice for one tile, with the costs of all tiles."""
    calls = tiling.count
    if node.op in ("grad_clamp", "activation_grad"):
        # The channels of a tile lie together at one position, apart from those of the next.
        _, height, width, _ = node.output.type.shape
        calls *= height * width
    besides = 0
    if tiling.is_total(node):
        besides = node.outputs[0].type.size * (_SUMMED * tiling.count + ROUNDED)

    def whole(cost: int) -> int:
        return calls * (cost + _CALL) + besides

    return replace(
        choice,
        workspace=choice.workspace + copied_bytes(node, tiling),
        cost=whole(choice.cost),
        considered={name: whole(cost) for name, cost in choice.considered.items()},
    )
