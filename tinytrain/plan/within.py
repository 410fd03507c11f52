"""The cheapest plan whose arena keeps within a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.plan.arena import Plan, outline, plan_memory
from tinytrain.plan.channel_tiling_search import fitted
from tinytrain.plan.line_buffer_search import Stem
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes
from tinytrain.plan.rematerialize import again_of
from tinytrain.plan.rematerialize_search import Candidates, RepeatSearch


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
    graph: Graph,
    isa: str,
    nbytes: int | None = None,
    *,
    fed: bool = False,
    recompute: float = 0.0,
) -> tuple[Plan, tuple[Way, ...]]:
    """The plan that costs least of those whose arena takes at most so many bytes.

    What the stem needs and what the rest of a step needs are there at different times, so that the
    cheapest chains within the limit and the cheapest rest within it are the cheapest of all.

    Args:
        graph: scheduled.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        nbytes: the limit; None sets none.
        fed: the rows of the input arrive one after another.
        recompute: share of a step's instructions that may be spent to run forward nodes again.

    Returns:
        The plan, and what was done to get there; where no plan keeps within the limit, the
        smallest that was found.

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
            help="leave out --feed rows",
        )
    wanted = max(max(stem.limits()) if nbytes is None else nbytes, smallest)
    most = int(recompute * plain.cost)
    rest = min(
        (fitted(other, isa, wanted, stem.end) for other in _repeats(plain, stem.end, wanted, most)),
        key=lambda found: (max(found.scratch.bound, wanted), found.scratch.cost),
    )
    limit = max(wanted, rest.scratch.bound)
    cut = stem.within(limit)
    assert cut is not None, "the smallest limit keeps every larger one"
    limits = {**cut.limits, **rest.scratch.limits}
    plan = plan_memory(rest.graph, isa, limits, streams=cut.streams, slices=rest.slices)
    return plan, (*_takeover(rest.graph, plan), *_ways(plain, plan, limits))


def _repeats(plain: Plan, start: int, limit: int, most: int) -> list[Graph]:
    """The graph as it is, and with parts that run again: so that all else that helps can, and so
    that nothing else need."""
    graph = plain.graph
    if most == 0:
        return [graph]
    candidates = Candidates(graph, plain.choices, start)
    least = fitted(graph, plain.isa, 0, start).scratch.least
    beside = candidates.of(()).live
    found = [graph]
    for levels in (least, live_bytes(plain.storages, range(len(graph.nodes)))):
        extra = {
            node.name: level - live
            for node, level, live in zip(graph.nodes, levels, beside, strict=True)
        }
        search = RepeatSearch(candidates, extra, most)
        repeats = search.within(limit)
        if repeats is None and levels is least:
            repeats = search.smallest()
        if repeats is not None and repeats.parts:
            found.append(repeats.graph)
    return found


def _ways(plain: Plan, plan: Plan, limits: Mapping[str, int]) -> Iterator[Way]:
    """What was done beside takeover, one added to the other."""
    before = plain.lower_bound, plain.cost
    again = len(again_of(plan.graph))
    steps: list[tuple[str, str, Graph, dict[str, Any]]] = []
    done: dict[str, Any] = {}
    if plan.streams:
        done = {**done, "streams": plan.streams}
        layers = [chain.last - chain.first + 1 for chain in plan.streams]
        steps.append(("streaming", _sizes(layers), plain.graph, done))
    if again:
        steps.append(("recomputation", f"{again} nodes run again", plan.graph, done))
    if plan.slices:
        done = {**done, "slices": plan.slices}
        counts = _listed([run.count for run in plan.slices])
        runs = "a run" if len(plan.slices) == 1 else f"{len(plan.slices)} runs"
        steps.append(("slices", f"{runs} in {counts} slices", plan.graph, done))
    if limits:
        done = {**done, "limits": limits}
        steps.append(("narrow scratch", f"{len(limits)} kernels", plan.graph, done))
    for name, detail, graph, ways in steps:
        after = outline(graph, plan.isa, **ways)
        yield Way(name, detail, before[0] - after[0], after[1] - before[1])
        before = after


def _sizes(layers: list[int]) -> str:
    if len(layers) == 1:
        return f"a chain of {layers[0]} layer{'s' if layers[0] > 1 else ''}"
    return f"{len(layers)} chains of {_listed(layers)} layers"


def _listed(counts: list[int]) -> str:
    *before, last = map(str, counts)
    return f"{', '.join(before)} and {last}" if before else last


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
    items = storages(graph, apart, plan.streams, plan.slices)
    saved = max(live_bytes(items, range(len(graph.nodes)))) - plan.lower_bound
    return (Way("takeover", f"{len(layers)} depthwise layers", saved, 0),) if layers else ()
