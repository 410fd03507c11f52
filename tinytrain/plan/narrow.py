"""Less scratch where a step needs most memory: which nodes take how much, at what cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.plan.kernels import Choice, choose_kernels, narrower
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import aligned, live_bytes
from tinytrain.plan.work import work_of


@dataclass(frozen=True)
class Narrowed:
    """Limits of scratch, and what they bring.

    Attributes:
        limits: for `plan_memory`: bytes by node name.
        bound: with them no arena is smaller, in bytes.
        extra: instructions of a step that they cost, estimated.
    """

    limits: Mapping[str, int]
    bound: int
    extra: int


def narrowed(graph: Graph, isa: str, most: int = 0, start: int = 0) -> Narrowed:
    """The cheapest limits with which a scheduled graph needs `most` bytes at a time, or the least.

    The scratch of a node is there in its own step only. So each step that needs too much takes the
    cheapest kernel with which it does not, whatever the others do.

    Args:
        isa: the richest instruction set of the core, one of `target.ISAS`.
        most: bytes of arena that will do.
        start: nodes before this place are somebody else's: nothing is told of them.
    """
    choices = choose_kernels(graph, isa)
    live = _live_beside_scratch(graph, choices)
    sizes = [choices[node.name].scratch if node.name in choices else 0 for node in graph.nodes]
    live[:start] = sizes[:start] = [0] * start
    needed = [beside + aligned(size) for beside, size in zip(live, sizes, strict=True)]
    goal = max(most, *live)
    options = {k: _options(graph, k, isa) for k, bytes_ in enumerate(needed) if bytes_ > goal}
    for k, offered in options.items():
        least = min((choice.scratch for choice in offered), default=sizes[k])
        goal = max(goal, live[k] + aligned(min(least, sizes[k])))
    limits, extra = {}, 0
    for k, offered in options.items():
        if needed[k] > goal:
            fitting = [choice for choice in offered if live[k] + aligned(choice.scratch) <= goal]
            taken = min(fitting, key=lambda choice: (choice.cost, choice.scratch))
            name = graph.nodes[k].name
            limits[name] = taken.scratch
            needed[k] = live[k] + aligned(taken.scratch)
            extra += taken.cost - choices[name].cost
    return Narrowed(limits, max(needed), extra)


def _options(graph: Graph, k: int, isa: str) -> list[Choice]:
    work = work_of(graph, graph.nodes[k])
    return [] if work is None else narrower(work, isa)


def _live_beside_scratch(graph: Graph, choices: Mapping[str, Choice]) -> list[int]:
    """Bytes that each node needs for values."""
    values = [item for item in storages(graph, choices) if item.values]
    return live_bytes(values, range(len(graph.nodes)))
