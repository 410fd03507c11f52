"""Chooses a kernel for each node of a chain that runs row by row: one for all of its bands."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinytrain.ir.graph import Node
from tinytrain.kernel.choose import Choice, candidates
from tinytrain.kernel.work import Work
from tinytrain.plan.line_buffer import Stream, row_bytes

_CALL = 60
"""Instructions around the call of a band: its window, the moves of its buffer."""
_MOVED = 0.3
"""Instructions for a byte that moves to the front of its buffer."""


def choose_for_bands(
    nodes: Sequence[Node], works: Sequence[Work | None], stream: Stream, isa: str
) -> dict[str, Choice]:
    """The kernel of each node of a chain that has a choice, by node name.

    A node without one costs what it costs as a whole.

    Args:
        nodes: of the chain.
        works: what each asks of its kernel as a whole, from `work_of`.
    """
    choices = {}
    for node, whole, bands in zip(nodes, works, stream.bands, strict=True):
        if whole is None:
            continue
        row = whole.count // node.output.type.shape[1]
        shapes = Counter((band.in_rows, band.rows, band.pad_top) for band in bands if band.rows)
        counted = {_band(whole, node, row, *shape): count for shape, count in shapes.items()}
        moves = sum(band.kept for band in bands if band.drop) * row_bytes(node.output)
        besides = _CALL * shapes.total() + _MOVED * moves
        choices[node.name] = _cheapest(counted, isa, besides)
    return choices


def _band(whole: Work, node: Node, row: int, in_rows: int, rows: int, pad_top: int) -> Work:
    """The work of one band."""
    if node.op != "conv2d":
        return replace(whole, count=row * rows)
    return replace(whole, in_h=in_rows, out_h=rows, pad_top=pad_top)


def _cheapest(works: Mapping[Work, int], isa: str, besides: float) -> Choice:
    """The cheapest kernel that fits all bands; of equals the plainer one."""
    sets = [{kernel.suffix: kernel for kernel in candidates(work, isa)} for work in works]
    shared = [suffix for suffix in sets[0] if all(suffix in found for found in sets)]
    contract = next(iter(works)).contract
    costs: dict[str, int] = {}
    scratch: dict[str, int] = {}
    for suffix in shared:
        cost = sum(
            count * found[suffix].cost(work)
            for (work, count), found in zip(works.items(), sets, strict=True)
        )
        costs[contract + suffix] = round(cost + besides)
        scratch[contract + suffix] = max(
            found[suffix].scratch(work) for work, found in zip(works, sets, strict=True)
        )
    name = min(costs, key=lambda key: costs[key])
    # The plainest one takes its place where the sources are built for another core.
    return Choice(name, max(scratch[name], scratch[contract + shared[0]]), costs[name], costs)
