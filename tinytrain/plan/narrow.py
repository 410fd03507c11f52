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
    """

    limits: Mapping[str, int]
    bound: int
    cost: int


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
        self._needed = [
            beside + aligned(self._workspace(node.name))
            for beside, node in zip(self._live, graph.nodes, strict=True)
        ]
        self._tiling = {node.name: each for each in tilings for node in each.nodes(graph)}

    def narrowed(self, most: int, span: range) -> Narrowed:
        """The cheapest limits of workspace of some nodes; as the function `narrowed`."""
        live, needed, nodes = self._live, {k: self._needed[k] for k in span}, self._graph.nodes
        options = {k: self._options(k) for k in span}
        goal = max([most, *(self._least(k, options[k]) for k in span)])
        limits = {}
        cost = sum(
            self._choices[nodes[k].name].cost for k in span if nodes[k].name in self._choices
        )
        for k, offered in options.items():
            if needed[k] > goal:
                fitting = [one for one in offered if live[k] + aligned(one.workspace) <= goal]
                taken = min(fitting, key=lambda choice: (choice.cost, choice.workspace))
                limits[nodes[k].name] = taken.workspace
                needed[k] = live[k] + aligned(taken.workspace)
                cost += taken.cost - self._choices[nodes[k].name].cost
        return Narrowed(limits, max(needed.values(), default=0), cost)

    def least_limits(self, span: range) -> dict[str, int]:
        """The least workspace of nodes of a span, where they take more, in bytes by node name."""
        found = {}
        for k in span:
            name = self._graph.nodes[k].name
            smallest = min((each.workspace for each in self._options(k)), default=None)
            if smallest is not None and smallest < self._workspace(name):
                found[name] = smallest
        return found

    def least(self, span: range) -> list[int]:
        """For each node of the graph what it needs, in bytes: those in a span with the least
        workspace."""
        return [
            self._least(k, self._options(k)) if k in span else needed
            for k, needed in enumerate(self._needed)
        ]

    def _least(self, k: int, offered: Sequence[Choice]) -> int:
        smallest = min((choice.workspace for choice in offered), default=None)
        if smallest is None:
            return self._needed[k]
        return min(self._needed[k], self._live[k] + aligned(smallest))

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
