"""Narrow workspaces: kernels with less workspace at the nodes where a step needs most memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import Choice, narrower
from tinytrain.kernel.nodes import work_of
from tinytrain.plan.arena import choices_for
from tinytrain.plan.channel_tiling_kernels import narrower_for_tiles
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import aligned, live_bytes
from tinytrain.plan.tiling import ChannelTiling


@dataclass(frozen=True)
class Narrowed:
    """Limits of workspace, and their effect.

    Attributes:
        limits: for `plan_memory`, in bytes by node name.
        bound: lower bound of the arena with these limits, in bytes.
        cost: estimated instructions of the considered nodes with these limits.
        least: for each node of the graph, the bytes that it needs with the least workspace.
    """

    limits: Mapping[str, int]
    bound: int
    cost: int
    least: Sequence[int]


def narrowed(
    graph: Graph,
    isa: str,
    most: int = 0,
    span: range | None = None,
    tilings: Sequence[ChannelTiling] = (),
) -> Narrowed:
    """The cheapest limits of workspace that keep `most` bytes, or else those of the smallest arena.

    A workspace is live at its own node only, so nodes do not affect each other: each one that needs
    too much takes the cheapest kernel that keeps the limit.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        most: size of the arena to keep within, in bytes.
        span: indices of the nodes to consider; all if None.
        tilings: runs that work on a tile of channels at a time.
    """
    looked = range(len(graph.nodes)) if span is None else span
    choices = choices_for(graph, isa, tilings=tilings)
    items = storages(graph, choices, tilings=tilings)
    values = [item for item in items if item.values or item.name not in choices]
    live = live_bytes(values, range(len(graph.nodes)))
    names = [node.name for node in graph.nodes]
    sizes = [choices[name].workspace if name in choices else 0 for name in names]
    needed = [beside + aligned(size) for beside, size in zip(live, sizes, strict=True)]
    tiling_of = {node.name: tiling for tiling in tilings for node in tiling.nodes(graph)}
    options = {k: _options(graph, k, isa, tiling_of.get(names[k])) for k in looked}
    least = list(needed)
    for k, offered in options.items():
        smallest = min((choice.workspace for choice in offered), default=sizes[k])
        least[k] = live[k] + aligned(min(smallest, sizes[k]))
    goal = max([most, *(least[k] for k in looked)])
    limits = {}
    cost = sum(choices[names[k]].cost for k in looked if names[k] in choices)
    for k, offered in options.items():
        if needed[k] > goal:
            fitting = [choice for choice in offered if live[k] + aligned(choice.workspace) <= goal]
            taken = min(fitting, key=lambda choice: (choice.cost, choice.workspace))
            limits[names[k]] = taken.workspace
            needed[k] = live[k] + aligned(taken.workspace)
            cost += taken.cost - choices[names[k]].cost
    bound = max((needed[k] for k in looked), default=0)
    return Narrowed(limits, bound, cost, least)


def _options(graph: Graph, k: int, isa: str, tiling: ChannelTiling | None) -> Sequence[Choice]:
    node = graph.nodes[k]
    if tiling is not None:
        return narrower_for_tiles(graph, node, tiling, isa)
    work = work_of(graph, node)
    return [] if work is None else narrower(work, isa)
