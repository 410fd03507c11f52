"""Places storages at offsets in one arena.

Offline dynamic storage allocation is NP-hard; this is first fit by decreasing size, then by other
orders and by local changes of the best order, until the lower bound is met or the tries are used
up. Deterministic. Source: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net
Inference", 2020, for greedy placement by size.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Value
from tinytrain.plan.band_kernels import choose_for_bands
from tinytrain.plan.kernels import Choice, choose_kernels
from tinytrain.plan.liveness import Storage, storages
from tinytrain.plan.stream import Stream
from tinytrain.plan.work import work_of

ALIGNMENT = 8
_TRIES = 4000


@dataclass(frozen=True)
class Plan:
    """Where every tensor of a scheduled graph lies.

    Attributes:
        offsets: of values in the arena, in bytes.
        scratch: offset of the scratch of a node, by node name.
        nbytes: size of the arena.
        lower_bound: the largest sum of live bytes over the schedule; no placement is smaller.
        peak: index of the node where that sum is reached.
        storages: what was placed.
        choices: the kernel of each node that has a choice, by node name.
        isa: the instruction set that they were chosen for.
        streams: chains that run row by row.
    """

    offsets: Mapping[Value, int]
    scratch: Mapping[str, int]
    nbytes: int
    lower_bound: int
    peak: int
    storages: tuple[Storage, ...]
    choices: Mapping[str, Choice]
    isa: str
    streams: tuple[Stream, ...] = ()

    @property
    def scratch_sizes(self) -> dict[str, int]:
        """Bytes of scratch by node name, for nodes that have any."""
        return {name: choice.scratch for name, choice in self.choices.items() if choice.scratch}

    @property
    def cost(self) -> int:
        """Estimated instructions of the nodes that have a choice of kernels."""
        return sum(choice.cost for choice in self.choices.values())

    @property
    def kernels(self) -> dict[str, str]:
        """C functions by node name, of nodes that have a choice."""
        return {name: choice.kernel for name, choice in self.choices.items()}

    def at_peak(self) -> list[Storage]:
        """Storages that are live at the peak, largest first."""
        live = [s for s in self.storages if s.first <= self.peak <= s.last]
        return sorted(live, key=lambda s: (-s.nbytes, s.name))


def plan_memory(
    graph: Graph,
    isa: str = "portable",
    limits: Mapping[str, int] | None = None,
    *,
    streams: Sequence[Stream] = (),
) -> Plan:
    """Chooses the kernels and plans the arena of a scheduled graph.

    Args:
        isa: the richest instruction set of the core, one of `target.ISAS`.
        limits: see `choose_kernels`; `narrow.narrowed` finds them.
        streams: chains that run row by row.
    """
    choices = choose_kernels(graph, isa, limits)
    for chain in streams:
        nodes = graph.nodes[chain.first : chain.last + 1]
        choices |= choose_for_bands(nodes, [work_of(graph, node) for node in nodes], chain, isa)
    items = storages(graph, choices, streams)
    bound, peak = _lower_bound(items, len(graph.nodes))
    offsets, nbytes = _search(items, bound)
    where = {value: offsets[k] for k, item in enumerate(items) for value in item.values}
    scratch = {item.name: offsets[k] for k, item in enumerate(items) if not item.values}
    return Plan(where, scratch, nbytes, bound, peak, tuple(items), choices, isa, tuple(streams))


def aligned(nbytes: int) -> int:
    """Bytes rounded up to a place where any tensor may begin."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def live_bytes(items: Sequence[Storage], steps: int) -> list[int]:
    """Sum of the aligned bytes that are live at each of `steps` nodes."""
    live = [0] * max(steps, 1)
    for item in items:
        for step in range(item.first, item.last + 1):
            live[step] += aligned(item.nbytes)
    return live


def _lower_bound(items: Sequence[Storage], steps: int) -> tuple[int, int]:
    live = live_bytes(items, steps)
    bound = max(live)
    return bound, live.index(bound)


def _search(items: Sequence[Storage], bound: int) -> tuple[list[int], int]:
    conflicts = [
        [
            j
            for j, other in enumerate(items)
            if j != i and other.first <= item.last and item.first <= other.last
        ]
        for i, item in enumerate(items)
    ]
    keys = (
        lambda k: (-items[k].nbytes, items[k].first, k),
        lambda k: (-items[k].nbytes * (items[k].last - items[k].first + 1), k),
        lambda k: (-(items[k].last - items[k].first), -items[k].nbytes, k),
        lambda k: (items[k].first, -items[k].nbytes, k),
    )
    best_order: list[int] = []
    best: tuple[list[int], int] = ([], -1)
    for key in keys:
        order = sorted(range(len(items)), key=key)
        placed = _place(items, conflicts, order)
        if best[1] < 0 or placed[1] < best[1]:
            best, best_order = placed, order
    generator = random.Random(0)
    for _ in range(_TRIES):
        if best[1] <= bound or len(items) < 2:
            break
        order = list(best_order)
        for _ in range(generator.randint(1, 3)):
            order.insert(
                generator.randrange(len(order)), order.pop(generator.randrange(len(order)))
            )
        placed = _place(items, conflicts, order)
        if placed[1] <= best[1]:
            best, best_order = placed, order
    return best


def _place(
    items: Sequence[Storage], conflicts: Sequence[Sequence[int]], order: Sequence[int]
) -> tuple[list[int], int]:
    offsets = [-1] * len(items)
    top = 0
    for k in order:
        taken = sorted(
            (offsets[j], offsets[j] + aligned(items[j].nbytes))
            for j in conflicts[k]
            if offsets[j] >= 0
        )
        offset, size = 0, aligned(items[k].nbytes)
        for start, end in taken:
            if start - offset >= size:
                break
            offset = max(offset, end)
        offsets[k] = offset
        top = max(top, offset + size)
    return offsets, top
