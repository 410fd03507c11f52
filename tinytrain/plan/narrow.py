"""Less scratch where a step needs most memory: which nodes take how much, at what cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import Choice, narrower
from tinytrain.kernel.work import work_of
from tinytrain.plan.arena import choices_for
from tinytrain.plan.channel_tiling import Slices
from tinytrain.plan.channel_tiling_kernels import narrower_for_slices
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import aligned, live_bytes


@dataclass(frozen=True)
class Narrowed:
    """Limits of scratch, and what they bring.

    Attributes:
        limits: for `plan_memory`: bytes by node name.
        bound: with them no arena is smaller, in bytes.
        cost: instructions of the nodes that were looked at, with the limits, estimated.
        least: bytes that each node of the graph needs with the least scratch.
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
    slices: Sequence[Slices] = (),
) -> Narrowed:
    """The cheapest limits with which a scheduled graph needs `most` bytes at a time, or the least.

    The scratch of a node is there in its own step only. So each step that needs too much takes the
    cheapest kernel with which it does not, whatever the others do.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        most: bytes of arena that will do.
        span: places of the nodes that are looked at; all others are somebody else's.
        slices: runs that work on a slice of channels at a time.
    """
    looked = range(len(graph.nodes)) if span is None else span
    choices = choices_for(graph, isa, slices=slices)
    items = storages(graph, choices, slices=slices)
    values = [item for item in items if item.values or item.name not in choices]
    live = live_bytes(values, range(len(graph.nodes)))
    names = [node.name for node in graph.nodes]
    sizes = [choices[name].scratch if name in choices else 0 for name in names]
    needed = [beside + aligned(size) for beside, size in zip(live, sizes, strict=True)]
    run_of = {node.name: run for run in slices for node in run.nodes(graph)}
    options = {k: _options(graph, k, isa, run_of.get(names[k])) for k in looked}
    least = list(needed)
    for k, offered in options.items():
        smallest = min((choice.scratch for choice in offered), default=sizes[k])
        least[k] = live[k] + aligned(min(smallest, sizes[k]))
    goal = max([most, *(least[k] for k in looked)])
    limits = {}
    cost = sum(choices[names[k]].cost for k in looked if names[k] in choices)
    for k, offered in options.items():
        if needed[k] > goal:
            fitting = [choice for choice in offered if live[k] + aligned(choice.scratch) <= goal]
            taken = min(fitting, key=lambda choice: (choice.cost, choice.scratch))
            limits[names[k]] = taken.scratch
            needed[k] = live[k] + aligned(taken.scratch)
            cost += taken.cost - choices[names[k]].cost
    bound = max((needed[k] for k in looked), default=0)
    return Narrowed(limits, bound, cost, least)


def _options(graph: Graph, k: int, isa: str, run: Slices | None) -> Sequence[Choice]:
    node = graph.nodes[k]
    if run is not None:
        return narrower_for_slices(graph, node, run, isa)
    work = work_of(graph, node)
    return [] if work is None else narrower(work, isa)
