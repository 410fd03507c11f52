"""Which runs of backward nodes work slice by slice, and in how many slices."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.plan.channel_tiling import Slices, cut, runs
from tinytrain.plan.narrow import Narrowed, narrowed


@dataclass(frozen=True)
class Fitted:
    """How the nodes behind the stem keep within a limit.

    Attributes:
        graph: all of them.
        slices: runs that work on a slice of channels at a time.
        scratch: limits of scratch beside them, and what all of it needs and costs.
    """

    graph: Graph
    slices: tuple[Slices, ...]
    scratch: Narrowed


def fitted(graph: Graph, isa: str, most: int, start: int) -> Fitted:
    """Slices and limits of scratch with which nodes need `most` bytes at a time, or the least.

    Runs need their memory at different times, so each is cut by itself: in the way that costs least
    of those that keep the limit.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        most: bytes of arena that will do.
        start: nodes before this place are somebody else's: nothing is told of them.
    """
    span = range(start, len(graph.nodes))
    least = _cut(graph, isa, 0, span)
    found = _cut(graph, isa, max(most, least.scratch.bound), span)
    return min(found, least, key=lambda one: (max(one.scratch.bound, most), one.scratch.cost))


def _cut(graph: Graph, isa: str, goal: int, span: range) -> Fitted:
    chosen: list[Slices] = []
    for run in runs(graph):
        place = range(run.first, run.last + 1)
        whole = narrowed(graph, isa, goal, place, chosen)
        if whole.bound <= goal and not whole.limits:
            continue
        options = [(_worth(whole, goal), -1)]
        cuts = cut(graph, run)
        for k, slices in enumerate(cuts):
            options.append((_worth(narrowed(graph, isa, goal, place, [*chosen, slices]), goal), k))
        best = min(options)[1]
        if best >= 0:
            chosen.append(cuts[best])
    return Fitted(graph, tuple(chosen), narrowed(graph, isa, goal, span, chosen))


def _worth(found: Narrowed, goal: int) -> tuple[int, int]:
    """What is less is better: bytes beyond the limit, then instructions."""
    return max(found.bound - goal, 0), found.cost
