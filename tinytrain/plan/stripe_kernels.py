"""Chooses a kernel for each node of a line-buffered chain: one kernel for all of its stripes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

from tinytrain.ir.graph import Node
from tinytrain.kernel.choose import Choice, candidates
from tinytrain.kernel.work import Work
from tinytrain.plan.chain import LineBufferedChain, row_bytes

_CALL = 60
"""Instructions around the call for a stripe: its window, the move of its buffer."""
_MOVED = 0.3
"""Instructions per byte that moves to the front of its buffer."""


def choose_for_stripes(
    nodes: Sequence[Node], works: Sequence[Work | None], chain: LineBufferedChain, isa: str
) -> dict[str, Choice]:
    """The kernel of each node of a chain that has a choice, by node name.

    Args:
        nodes: of the chain.
        works: the work of each node as a whole, from `work_of`; None for a node without a choice.
        isa: the richest instruction set of the core, one of `isa.ISAS`.
    """
    choices = {}
    for node, whole, stripes in zip(nodes, works, chain.stripes, strict=True):
        if whole is not None:
            counts = Counter(
                (stripe.in_rows, stripe.rows, stripe.pad_top) for stripe in stripes if stripe.rows
            )
            moved = sum(stripe.kept for stripe in stripes if stripe.drop) * row_bytes(node.output)
            row = whole.count // node.output.type.shape[1]
            choices[node.name] = _cheapest(whole, row, tuple(counts.items()), moved, isa)
    return choices


StripeShape = tuple[int, int, int]
"""Rows that are read, rows that are computed, rows of padding above."""


@cache
def _cheapest(
    whole: Work, row: int, counts: tuple[tuple[StripeShape, int], ...], moved: int, isa: str
) -> Choice:
    """The cheapest kernel that fits all stripes; the plainer one if two are equal.

    Args:
        whole: the work of the node as a whole.
        row: elements of a row of its output, for a node without a window.
        counts: how many stripes there are of each shape.
        moved: bytes that move to the front of the buffer of its output.
    """
    works = {_stripe_work(whole, row, *shape): count for shape, count in counts}
    sets = [{kernel.name: kernel for kernel in candidates(work, isa)} for work in works]
    shared = [name for name in sets[0] if all(name in found for found in sets)]
    besides = _CALL * sum(works.values()) + _MOVED * moved
    costs: dict[str, int] = {}
    workspace: dict[str, int] = {}
    for name in shared:
        widest = [found[name].widest(work) for work, found in zip(works, sets, strict=True)]
        cost = sum(
            count * variant.cost for count, variant in zip(works.values(), widest, strict=True)
        )
        costs[name] = round(cost + besides)
        workspace[name] = max(variant.workspace for variant in widest)
    cheapest = min(costs, key=lambda key: costs[key])
    # The plainest one takes its place where the sources are built for another core.
    most = max(workspace[cheapest], workspace[shared[0]])
    return Choice(cheapest, most, costs[cheapest], costs)


def _stripe_work(whole: Work, row: int, in_rows: int, rows: int, pad_top: int) -> Work:
    """The work of one stripe."""
    if not whole.windowed:
        return replace(whole, count=row * rows)
    return replace(whole, in_h=in_rows, out_h=rows, pad_top=pad_top)
