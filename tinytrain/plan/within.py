"""The cheapest plan whose arena keeps within a limit."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.plan.arena import Plan, plan_memory
from tinytrain.plan.liveness import storages
from tinytrain.plan.narrow import narrowed
from tinytrain.plan.place import live_bytes
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

    What the stem needs and what the rest of a step needs are there at different times, so that the
    cheapest chains within the limit and the cheapest scratch within it are the cheapest of all.

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
        return plain, _takeover(graph, plain)
    stem = Stem(graph, plain.choices, isa, fed=fed)
    smallest = stem.smallest()
    if smallest is None:
        raise UsageError(
            "the input cannot be fed row by row: it has one row, the first layer trains, or "
            "something else needs it whole",
            way_out="leave out --feed rows",
        )
    wanted = max(stem.limits()) if nbytes is None else nbytes
    limit = max(wanted, smallest, narrowed(graph, isa, wanted, stem.end).bound)
    cut = stem.within(limit)
    assert cut is not None, "the smallest limit keeps every larger one"
    rest = narrowed(graph, isa, limit, stem.end)
    limits = {**cut.limits, **rest.limits}
    streamed = plan_memory(graph, isa, streams=cut.streams)
    plan = plan_memory(graph, isa, limits, streams=cut.streams)
    ways = list(_takeover(graph, plan))
    if cut.streams:
        ways.append(
            Way(
                "streaming",
                _sizes([chain.last - chain.first + 1 for chain in cut.streams]),
                plain.lower_bound - streamed.lower_bound,
                streamed.cost - plain.cost,
            )
        )
    if limits:
        ways.append(
            Way(
                "narrow scratch",
                f"{len(limits)} kernels",
                streamed.lower_bound - plan.lower_bound,
                plan.cost - streamed.cost,
            )
        )
    return plan, tuple(ways)


def _sizes(layers: list[int]) -> str:
    if len(layers) == 1:
        return f"a chain of {layers[0]} layer{'s' if layers[0] > 1 else ''}"
    return f"{len(layers)} chains of {', '.join(map(str, layers[:-1]))} and {layers[-1]} layers"


def _takeover(graph: Graph, plan: Plan) -> tuple[Way, ...]:
    """What depthwise layers save that write over their input."""
    chained = {k for chain in plan.streams for k in range(chain.first, chain.last + 1)}
    layers = [
        node.name
        for k, node in enumerate(graph.nodes)
        if k not in chained
        and node.name in plan.choices
        and plan.choices[node.name].in_place
        and plan.offsets.get(node.output) == plan.offsets.get(node.inputs[0])
    ]
    apart = {name: replace(choice, in_place=False) for name, choice in plan.choices.items()}
    items = storages(graph, apart, plan.streams)
    saved = max(live_bytes(items, range(len(graph.nodes)))) - plan.lower_bound
    return (Way("takeover", f"{len(layers)} depthwise layers", saved, 0),) if layers else ()
