"""Chooses a kernel for each node by its cost; `kernel_table` lists what there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph
from tinytrain.isa import available
from tinytrain.kernel.kernel import Kernel, Variant
from tinytrain.kernel.nodes import work_of
from tinytrain.kernel.table import KERNELS, works_in_place
from tinytrain.kernel.work import Work


@dataclass(frozen=True)
class Choice:
    """The kernel of one node.

    Attributes:
        kernel: name of the C function.
        workspace: bytes that it takes, or its portable twin where that takes more. Kernels that are
            told how much they have are told this.
        cost: its instructions, estimated.
        considered: estimates of all kernels that could have served, by name.
        in_place: whether its output may take over the storage of its first input.
    """

    kernel: str
    workspace: int
    cost: int
    considered: Mapping[str, int]
    in_place: bool = False


def choose_kernels(
    graph: Graph, isa: str = "portable", limits: Mapping[str, int] | None = None
) -> dict[str, Choice]:
    """The cheapest kernel for each node that has a choice, by node name.

    Args:
        isa: the richest instruction set of the core; those that it is based on are there too.
        limits: the most workspace that a node may take, in bytes, by node name; nodes that are not
            named take what makes them fastest.
    """
    choices = {}
    for node in graph.nodes:
        work = work_of(graph, node)
        if work is not None:
            choice = choose(work, isa, (limits or {}).get(node.name))
            # A convolution that is followed reads its input twice.
            reads_again = "follow" in node.attrs and choice.in_place
            choices[node.name] = replace(choice, in_place=False) if reads_again else choice
    return choices


@cache
def choose(work: Work, isa: str, limit: int | None = None) -> Choice:
    """The cheapest kernel for one piece of work; of equals the plainer one.

    Args:
        limit: the most workspace, in bytes; where no kernel does with so little, the one that takes
            least is chosen.
    """
    able = list(candidates(work, isa))
    twin = able[0].variants(work)
    least = min(variant.workspace for variant in twin)
    if limit is None:
        found = {kernel: kernel.widest(work) for kernel in able}
        limit = max(twin[0].workspace, *(variant.workspace for variant in found.values()))
    else:
        limit = max(limit, least)
        found = {kernel: _within(kernel.variants(work), limit) for kernel in able}
    names = {kernel.name: variant for kernel, variant in found.items()}
    costs = {name: round(variant.cost) for name, variant in names.items()}
    name = min(costs, key=lambda key: (max(0, names[key].workspace - limit), costs[key]))
    # The plainest one takes its place where the sources are built for another core.
    workspace = max(names[name].workspace, _within(twin, limit).workspace)
    return Choice(name, workspace, costs[name], costs, works_in_place(name, work))


def _within(variants: Sequence[Variant], limit: int) -> Variant:
    """The cheapest that takes no more workspace than that, or the one that takes least."""
    fitting = [variant for variant in variants if variant.workspace <= limit]
    if fitting:
        return min(fitting, key=lambda variant: variant.cost)
    return min(variants, key=lambda variant: variant.workspace)


@cache
def narrower(work: Work, isa: str) -> Sequence[Choice]:
    """What else may be chosen with less workspace, and more instructions, the largest first."""
    sizes = {v.workspace for kernel in candidates(work, isa) for v in kernel.variants(work)}
    found = [choose(work, isa)]
    for size in sorted(sizes, reverse=True):
        choice = choose(work, isa, size)
        if choice.workspace < found[-1].workspace:
            found.append(choice)
    return found[1:]


def cost_within(name: str, work: Work, isa: str, workspace: int) -> float | None:
    """Instructions of a kernel with so much workspace, in bytes; None where it, or the portable one
    that may take its place, cannot do the work with that."""
    able = list(candidates(work, isa))
    found = [kernel for kernel in able if kernel.name == name]
    if not found:
        return None
    fitting = [
        [each.cost for each in kernel.variants(work) if each.workspace <= workspace]
        for kernel in (able[0], found[0])
    ]
    return min(fitting[1]) if all(fitting) else None


def candidates(work: Work, isa: str) -> Iterable[Kernel]:
    """Kernels that can do a piece of work on a core with an instruction set, plainest first.

    Raises:
        InternalError: there is none, not even a portable one.
    """
    sets = available(isa)
    found = [
        kernel
        for kernel in KERNELS.get(work.contract, ())
        if kernel.isa in sets and kernel.fits(work)
    ]
    if not found:
        raise InternalError(f"no kernel serves {work.contract}")
    return sorted(found, key=lambda kernel: sets.index(kernel.isa))
