"""The cheapest plan whose arena keeps within a limit, and what was done to get there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.manifest.arena import OptimizationRecord
from tinytrain.plan.arena import outline, plan_memory
from tinytrain.plan.channel_tiling_search import Fitted, fitted
from tinytrain.plan.line_buffer_search import Cut, Stem
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes
from tinytrain.plan.plan import Plan
from tinytrain.plan.rematerialize_search import Candidates, RematerializationSearch
from tinytrain.plan.stems import Stems
from tinytrain.plan.widen import placed_then_widened


@dataclass(frozen=True)
class MemoryOptimization:
    """One memory optimization of a plan.

    Attributes:
        name: as in docs/memory.md.
        detail: what it was applied to.
        saved_bytes: by how much the lower bound of the arena fell, in bytes, when it was added to
            the optimizations before it.
        instructions: estimated instructions that it adds to a step.
    """

    name: str
    detail: str
    saved_bytes: int
    instructions: int

    def record(self) -> OptimizationRecord:
        """What the manifest says of it."""
        return OptimizationRecord(
            name=self.name,
            detail=self.detail,
            saved_bytes=self.saved_bytes,
            instructions=self.instructions,
        )


def plan_within(
    graph: Graph,
    isa: str,
    nbytes: int | None = None,
    *,
    fed: bool = False,
    recompute: float = 0.0,
    stems: Stems | None = None,
) -> tuple[Plan, tuple[MemoryOptimization, ...]]:
    """The cheapest plan whose arena is at most `nbytes` large, or else the smallest one found.

    The stem and the rest of a step need memory at different times, so the cheapest chains within
    the limit and the cheapest rest within it are together the cheapest plan.

    Args:
        graph: scheduled.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        nbytes: the largest arena allowed, in bytes; None sets no limit.
        fed: whether the rows of the input arrive one after another.
        recompute: share of a step's instructions that may be spent on rematerialization, in [0, 1].
        stems: those of other training steps of the same model.

    Returns:
        The plan, and its memory optimizations in the order in which they count.

    Raises:
        UsageError: rows are to be fed to layers that need the whole input.
    """
    if fed and len(graph.sample) > 1:
        raise UsageError(
            "a model with several inputs cannot be fed row by row", help="leave out --feed rows"
        )
    plain = plan_memory(graph, isa)
    if not fed and (nbytes is None or plain.nbytes <= nbytes):
        return plain, _in_place_reuse(graph, plain)
    stem = (stems or Stems()).of(graph, plain.choices, isa, fed=fed)
    smallest = stem.smallest()
    if smallest is None:
        raise UsageError(
            "the input cannot be fed row by row: it has one row, the first layer trains, or "
            "something else needs it whole",
            help="leave out --feed rows",
        )
    wanted = max(max(stem.limits()) if nbytes is None else nbytes, smallest)
    most = int(recompute * plain.cost)
    candidates = Candidates(graph, plain.choices, stem.end)
    rest = min(
        (
            fitted(other, isa, wanted, stem.end)
            for other in _rematerialized(plain, candidates, wanted, most)
        ),
        key=lambda found: (max(found.narrowed.bound, wanted), found.narrowed.cost),
    )
    limit = max(wanted, rest.narrowed.bound)
    cut = stem.within(limit)
    assert cut is not None, "the smallest limit keeps every larger one"
    plan, limits = _placed(rest, cut, isa, stem.end, limit)
    plan = replace(plan, unfinished=_unfinished(stem, candidates))
    return plan, (*_in_place_reuse(rest.graph, plan), *_optimizations(plain, plan, limits))


def _placed(
    rest: Fitted, cut: Cut, isa: str, start: int, limit: int
) -> tuple[Plan, dict[str, int]]:
    """The plan of a stem and what follows from node `start` on, and its limits of workspace."""
    limits = {**cut.limits, **rest.narrowed.limits}
    plan = plan_memory(rest.graph, isa, limits, chains=cut.chains, tilings=rest.tilings)
    if plan.nbytes > limit:
        other, wide = placed_then_widened(
            rest.graph, isa, cut.limits, start, chains=cut.chains, tilings=rest.tilings
        )
        if other.nbytes < plan.nbytes:
            return other, wide
    return plan, limits


def _unfinished(stem: Stem, candidates: Candidates) -> tuple[str, ...]:
    ended = {"line buffering": stem.is_bounded, "rematerialization": candidates.exhausted}
    return tuple(name for name, is_at_limit in ended.items() if is_at_limit)


def _rematerialized(plain: Plan, candidates: Candidates, limit: int, most: int) -> list[Graph]:
    """The graph as it is, and with rematerialized parts: chosen once for nodes with the least
    workspace, and once for nodes with the kernels of the plain plan."""
    graph = plain.graph
    if most == 0:
        return [graph]
    least = fitted(graph, plain.isa, 0, candidates.start).least
    beside = candidates.of(()).live
    found = [graph]
    for levels in (least, live_bytes(plain.storages, range(len(graph.nodes)))):
        extra = {
            node.name: level - live
            for node, level, live in zip(graph.nodes, levels, beside, strict=True)
        }
        search = RematerializationSearch(candidates, extra, most)
        chosen = search.within(limit)
        if chosen is None and levels is least:
            chosen = search.smallest()
        if chosen is not None and chosen.parts:
            found.append(chosen.graph)
    return found


def _optimizations(
    plain: Plan, plan: Plan, limits: Mapping[str, int]
) -> Iterator[MemoryOptimization]:
    """All but in-place reuse, each added to those before it."""
    before = plain.lower_bound, plain.cost
    rematerialized = len(plan.graph.rematerialized)
    steps: list[tuple[str, str, Graph, dict[str, Any]]] = []
    done: dict[str, Any] = {}
    if plan.chains:
        done = {**done, "chains": plan.chains}
        layers = [chain.last - chain.first + 1 for chain in plan.chains]
        steps.append(("line buffering", _sizes(layers), plain.graph, done))
    if rematerialized:
        steps.append(("rematerialization", f"{rematerialized} nodes", plan.graph, done))
    if plan.tilings:
        done = {**done, "tilings": plan.tilings}
        counts = _listed([tiling.count for tiling in plan.tilings])
        runs = "a run" if len(plan.tilings) == 1 else f"{len(plan.tilings)} runs"
        steps.append(("channel tiling", f"{runs} in {counts} tiles", plan.graph, done))
    if limits:
        done = {**done, "limits": limits}
        steps.append(("narrow workspace", f"{len(limits)} kernels", plan.graph, done))
    for name, detail, graph, options in steps:
        after = outline(graph, plan.isa, **options)
        yield MemoryOptimization(name, detail, before[0] - after[0], after[1] - before[1])
        before = after


def _sizes(layers: list[int]) -> str:
    if len(layers) == 1:
        return f"a chain of {layers[0]} layer{'s' if layers[0] > 1 else ''}"
    return f"{len(layers)} chains of {_listed(layers)} layers"


def _listed(counts: list[int]) -> str:
    *before, last = map(str, counts)
    return f"{', '.join(before)} and {last}" if before else last


def _in_place_reuse(graph: Graph, plan: Plan) -> tuple[MemoryOptimization, ...]:
    """What the depthwise layers that write over their input save."""
    chained = {k for chain in plan.chains for k in range(chain.first, chain.last + 1)}
    layers = [
        node.name
        for k, node in enumerate(graph.nodes)
        if k not in chained
        and node.name in plan.choices
        and plan.choices[node.name].in_place
        and plan.offsets.get(node.output) == plan.offsets.get(node.inputs[0])
    ]
    apart = {name: replace(choice, in_place=False) for name, choice in plan.choices.items()}
    items = storages(graph, apart, plan.chains, plan.tilings)
    saved = max(live_bytes(items, range(len(graph.nodes)))) - plan.lower_bound
    return (
        (MemoryOptimization("in-place reuse", f"{len(layers)} depthwise layers", saved, 0),)
        if layers
        else ()
    )
