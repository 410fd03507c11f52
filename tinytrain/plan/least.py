"""The least that an arena can be, without placing anything: for many schemes that are compared."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.channel_tiling_search import fitted
from tinytrain.plan.stems import Stems


@dataclass(frozen=True)
class LeastArena:
    """Of a graph in the order that it has, nothing computed again.

    Attributes:
        nbytes: lower bound of the smallest plan's arena, in bytes.
        peak: index of the node that needs so much; None where the frozen stem does.
    """

    nbytes: int
    peak: int | None


def least_arena(graph: Graph, isa: str, *, fed: bool, stems: Stems) -> LeastArena:
    """What `plan_within` comes to for no bytes, but for gaps between storages.

    Args:
        graph: scheduled.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        fed: whether the rows of the input arrive one after another.
        stems: those of other training steps of the same model.

    Raises:
        UsageError: rows are to be fed to layers that need the whole input.
    """
    stem = stems.of(graph, choose_kernels(graph, isa), isa, fed=fed)
    smallest = stem.smallest()
    if smallest is None:
        raise UsageError(
            "the input cannot be fed row by row to this scheme", help="leave out --feed rows"
        )
    needs = fitted(graph, isa, 0, stem.end).least
    behind = range(stem.end, len(needs))
    peak = max(behind, key=lambda k: needs[k], default=None)
    if peak is None or needs[peak] <= smallest:
        return LeastArena(smallest, None)
    return LeastArena(needs[peak], peak)
