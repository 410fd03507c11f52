"""Narrow workspaces: kernels with less workspace at the nodes where a step needs most memory."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import Choice, choose_kernels, narrower
from tinytrain.kernel.nodes import work_of
from tinytrain.plan.channel_tiling_kernels import choose_for_tiles, narrower_for_tiles
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

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        most: size of the arena to keep within, in bytes.
        span: indices of the nodes to consider; all if None.
        tilings: runs that work on a tile of channels at a time.
    """
    everything = range(len(graph.nodes))
    return NodeNeeds(graph, isa, choose_kernels(graph, isa), tilings).narrowed(
        most, everything if span is None else span
    )


class NodeNeeds:
    """What each node of a scheduled graph needs, in bytes, with the fastest kernels.

    A workspace is live at its own node only, so nodes do not affect each other: each one that needs
    too much takes the cheapest kernel that keeps the limit.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        whole: the fastest kernels of the nodes as they run without tiles, by node name.
        tilings: runs that work on a tile of channels at a time.
    """

    def __init__(
        self,
        graph: Graph,
        isa: str,
        whole: dict[str, Choice],
        tilings: Sequence[ChannelTiling],
    ) -> None:
        self._graph, self._isa = graph, isa
        tiled: dict[str, Choice] = {}
        for tiling in tilings:
            tiled |= choose_for_tiles(graph, tiling, isa)
        self._choices = ChainMap(tiled, whole)
        items = storages(graph, {**whole, **tiled}, tilings=tilings)
        values = [item for item in items if item.values or item.name not in self._choices]
        self._live = live_bytes(values, range(len(graph.nodes)))
        self._tiling = {node.name: each for each in tilings for node in each.nodes(graph)}

    def narrowed(self, most: int, span: range) -> Narrowed:
        """The cheapest limits of workspace of some nodes; as the function `narrowed`."""
        live, names = self._live, [node.name for node in self._graph.nodes]
        sizes = [self._workspace(name) for name in names]
        needed = [beside + aligned(size) for beside, size in zip(live, sizes, strict=True)]
        least = list(needed)
        options = {k: self._options(k) for k in span}
        for k, offered in options.items():
            smallest = min((choice.workspace for choice in offered), default=sizes[k])
            least[k] = live[k] + aligned(min(smallest, sizes[k]))
        goal = max([most, *(least[k] for k in span)])
        limits = {}
        cost = sum(self._choices[names[k]].cost for k in span if names[k] in self._choices)
        for k, offered in options.items():
            if needed[k] > goal:
                fitting = [one for one in offered if live[k] + aligned(one.workspace) <= goal]
                taken = min(fitting, key=lambda choice: (choice.cost, choice.workspace))
                limits[names[k]] = taken.workspace
                needed[k] = live[k] + aligned(taken.workspace)
                cost += taken.cost - self._choices[names[k]].cost
        bound = max((needed[k] for k in span), default=0)
        return Narrowed(limits, bound, cost, least)

    def _workspace(self, name: str) -> int:
        return self._choices[name].workspace if name in self._choices else 0

    def _options(self, k: int) -> Sequence[Choice]:
        """The other kernels of a node, with less workspace."""
        node = self._graph.nodes[k]
        tiling = self._tiling.get(node.name)
        if tiling is not None:
            return narrower_for_tiles(self._graph, node, tiling, self._isa)
        work = work_of(self._graph, node)
        return [] if work is None else narrower(work, self._isa)
