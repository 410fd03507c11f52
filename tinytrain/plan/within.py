"""The cheapest plan whose arena keeps within a limit."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.plan.arena import Plan, plan_memory
from tinytrain.plan.stream_search import Stem


@dataclass(frozen=True)
class Way:
    """One way to less memory that a plan takes.

    Attributes:
        name: what docs/memory.md calls it.
        detail: what it was applied to.
        saved_bytes: by which the arena's lower bound fell when it was added to those before it.
        instructions: that it costs a step, estimated.
    """

    name: str
    detail: str
    saved_bytes: int
    instructions: int

    def to_manifest(self) -> dict[str, str | int]:
        """As it stands under `arena.ways`."""
        return {
            "way": self.name,
            "detail": self.detail,
            "saved_bytes": self.saved_bytes,
            "instructions": self.instructions,
        }


def plan_within(
    graph: Graph, isa: str, nbytes: int | None = None, *, fed: bool = False
) -> tuple[Plan, tuple[Way, ...]]:
    """The plan that costs least of those whose arena takes at most so many bytes.

    Args:
        graph: scheduled.
        isa: the richest instruction set of the core, one of `target.ISAS`.
        nbytes: the limit; None sets none.
        fed: the rows of the input arrive one after another.

    Returns:
        The plan, and what was done to get there; where no plan keeps within the limit, the
        smallest.

    Raises:
        UsageError: rows are to be fed to layers that need the whole input.
    """
    plain = plan_memory(graph, isa)
    if not fed and (nbytes is None or plain.nbytes <= nbytes):
        return plain, ()
    stem = Stem(graph, plain.choices, isa, fed=fed)
    smallest = stem.smallest()
    if smallest is None:
        raise UsageError(
            "the input cannot be fed row by row: the first layer trains, or needs the whole input",
            way_out="leave out --feed rows, or train fewer layers",
        )
    limit = max(stem.limits()) if nbytes is None else max(nbytes, smallest)
    streams = stem.within(limit) or ()
    if not streams:
        return plain, ()
    plan = plan_memory(graph, isa, streams)
    count = sum(chain.last - chain.first + 1 for chain in streams)
    detail = f"{count} layers in {len(streams)} chains, the largest of "
    detail += f"{max(chain.last - chain.first + 1 for chain in streams)} layers"
    saved = plain.lower_bound - plan.lower_bound
    return plan, (Way("streaming", detail, saved, plan.cost - plain.cost),)
