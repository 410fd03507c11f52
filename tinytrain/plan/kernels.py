"""Chooses a kernel for each node by its cost; `kernel_table` lists what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph
from tinytrain.plan.kernel import Kernel
from tinytrain.plan.kernel_table import KERNELS, works_in_place
from tinytrain.plan.work import Work, work_of
from tinytrain.target import ISAS


@dataclass(frozen=True)
class Choice:
    """The kernel of one node.

    Attributes:
        kernel: name of the C function.
        scratch: bytes that it takes, or its portable twin where that takes more.
        cost: its instructions, estimated.
        considered: estimates of all kernels that could have served, by name.
        in_place: whether its output may take over the storage of its first input.
    """

    kernel: str
    scratch: int
    cost: int
    considered: Mapping[str, int]
    in_place: bool = False


def choose_kernels(graph: Graph, isa: str = "portable") -> dict[str, Choice]:
    """The cheapest kernel for each node that has a choice, by node name.

    Args:
        isa: the richest instruction set of the core; those before it in `ISAS` are there too.
    """
    choices = {}
    for node in graph.nodes:
        work = work_of(graph, node)
        if work is not None:
            choices[node.name] = choose(work, isa)
    return choices


def choose(work: Work, isa: str) -> Choice:
    """The cheapest kernel for one piece of work; of equals the plainer one."""
    able = list(candidates(work, isa))
    costs = {work.contract + kernel.suffix: round(kernel.cost(work)) for kernel in able}
    name = min(costs, key=lambda key: costs[key])
    kernel = able[list(costs).index(name)]
    # The plainest one takes its place where the sources are built for another core.
    scratch = max(kernel.scratch(work), able[0].scratch(work))
    return Choice(name, scratch, costs[name], costs, works_in_place(name, work))


def candidates(work: Work, isa: str) -> Iterable[Kernel]:
    """Kernels that can do a piece of work on a core with an instruction set, plainest first.

    Raises:
        InternalError: there is none, not even a portable one.
    """
    sets = ISAS[: ISAS.index(isa) + 1]
    found = [
        kernel
        for kernel in KERNELS.get(work.contract, ())
        if kernel.isa in sets and kernel.fits(work)
    ]
    if not found:
        raise InternalError(f"no kernel serves {work.contract}")
    return sorted(found, key=lambda kernel: ISAS.index(kernel.isa))
