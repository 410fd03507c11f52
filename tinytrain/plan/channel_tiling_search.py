"""Chooses which runs of backward nodes are tiled, and into how many tiles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.channel_tiling import tileable_runs, tilings_of
from tinytrain.plan.narrow import Narrowed, NodeNeeds
from tinytrain.plan.tiling import ChannelTiling


@dataclass(frozen=True)
class Fitted:
    """How the nodes after the stem keep within a limit.

    Attributes:
        graph: of all nodes.
        tilings: runs that work on a tile of channels at a time.
        narrowed: limits of workspace for the other nodes, and the memory and the cost of it all.
        least: for each node of the graph, the bytes that it needs with the least workspace.
    """

    graph: Graph
    tilings: tuple[ChannelTiling, ...]
    narrowed: Narrowed
    least: Sequence[int]


def fitted(graph: Graph, isa: str, most: int, start: int) -> Fitted:
    """The cheapest tilings and limits of workspace that keep `most` bytes, or else the smallest.

    Runs need their memory at different times, so each is tiled by itself: with the cheapest count
    of tiles that keeps the limit.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        most: size of the arena to keep within, in bytes.
        start: index of the first node that counts; those before it belong to the stem.
    """
    search = _TilingSearch(graph, isa, range(start, len(graph.nodes)))
    least = search.within(0)
    found = search.within(max(most, least.narrowed.bound))
    return min(found, least, key=lambda one: (max(one.narrowed.bound, most), one.narrowed.cost))


class _TilingSearch:
    """Tilings of a graph for one limit after another; what they need is worked out once.

    Args:
        span: indices of the nodes that count.

    Runs share no node, so that what one needs with some tiles does not depend on the others: one
    set of tilings shows it for all runs at once.
    """

    def __init__(self, graph: Graph, isa: str, span: range) -> None:
        self._graph, self._isa, self._span = graph, isa, span
        self._whole = choose_kernels(graph, isa)
        self._runs = [(run, tilings_of(graph, run)) for run in tileable_runs(graph)]
        most = max((len(tilings) for _, tilings in self._runs), default=0)
        self._untiled = self._needs(())
        self._tiled = [
            self._needs(tuple(tilings[k] for _, tilings in self._runs if k < len(tilings)))
            for k in range(most)
        ]

    def within(self, goal: int) -> Fitted:
        """The cheapest tilings with which each run keeps a limit, in bytes, or needs least."""
        chosen: list[ChannelTiling] = []
        for run, tilings in self._runs:
            place = range(run.first, run.last + 1)
            untiled = self._untiled.narrowed(goal, place)
            if untiled.bound <= goal and not untiled.limits:
                continue
            options = [(_worth(untiled, goal), -1)]
            for k in range(len(tilings)):
                tiled = self._tiled[k].narrowed(goal, place)
                options.append((_worth(tiled, goal), k))
            best = min(options)[1]
            if best >= 0:
                chosen.append(tilings[best])
        needs = self._needs(tuple(chosen))
        least = needs.least(self._span)
        return Fitted(self._graph, tuple(chosen), needs.narrowed(goal, self._span), least)

    def _needs(self, tilings: tuple[ChannelTiling, ...]) -> NodeNeeds:
        return NodeNeeds(self._graph, self._isa, self._whole, tilings)


def _worth(found: Narrowed, goal: int) -> tuple[int, int]:
    """Less is better: bytes beyond the limit first, then instructions."""
    return max(found.bound - goal, 0), found.cost
