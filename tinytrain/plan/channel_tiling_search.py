"""Chooses which runs of backward nodes are tiled, and into how many tiles."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.plan.channel_tiling import tileable_runs, tilings_of
from tinytrain.plan.narrow import Narrowed, narrowed
from tinytrain.plan.tiling import ChannelTiling


@dataclass(frozen=True)
class Fitted:
    """How the nodes after the stem keep within a limit.

    Attributes:
        graph: of all nodes.
        tilings: runs that work on a tile of channels at a time.
        narrowed: limits of workspace for the other nodes, and the memory and the cost of it all.
    """

    graph: Graph
    tilings: tuple[ChannelTiling, ...]
    narrowed: Narrowed


def fitted(graph: Graph, isa: str, most: int, start: int) -> Fitted:
    """The cheapest tilings and limits of workspace that keep `most` bytes, or else the smallest.

    Runs need their memory at different times, so each is tiled by itself: with the cheapest count
    of tiles that keeps the limit.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        most: size of the arena to keep within, in bytes.
        start: index of the first node that counts; those before it belong to the stem.
    """
    span = range(start, len(graph.nodes))
    least = _tiled(graph, isa, 0, span)
    found = _tiled(graph, isa, max(most, least.narrowed.bound), span)
    return min(found, least, key=lambda one: (max(one.narrowed.bound, most), one.narrowed.cost))


def _tiled(graph: Graph, isa: str, goal: int, span: range) -> Fitted:
    chosen: list[ChannelTiling] = []
    for run in tileable_runs(graph):
        place = range(run.first, run.last + 1)
        whole = narrowed(graph, isa, goal, place, chosen)
        if whole.bound <= goal and not whole.limits:
            continue
        options = [(_worth(whole, goal), -1)]
        tilings = tilings_of(graph, run)
        for k, tiling in enumerate(tilings):
            options.append((_worth(narrowed(graph, isa, goal, place, [*chosen, tiling]), goal), k))
        best = min(options)[1]
        if best >= 0:
            chosen.append(tilings[best])
    return Fitted(graph, tuple(chosen), narrowed(graph, isa, goal, span, chosen))


def _worth(found: Narrowed, goal: int) -> tuple[int, int]:
    """Less is better: bytes beyond the limit first, then instructions."""
    return max(found.bound - goal, 0), found.cost
