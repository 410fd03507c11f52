"""Places storages at offsets in one arena.

Offline dynamic storage allocation is NP-hard. First fit is tried first: by decreasing size, then in
other orders and with local changes of the best one. It nearly always meets the lower bound. If it
leaves a gap, a solver looks for a smaller arena, or proves that there is none.

The same storages get the same offsets on every machine: random numbers come from a fixed seed, and
the solver has one worker and a limit that counts work, not seconds. Another version of the solver
may find other offsets, so the manifest records its version.

Sources: Pisarchyk and Lee, "Efficient Memory Management for Deep Neural Net Inference", 2020, for
greedy placement by size; Moffitt, "MiniMalloc: A Lightweight Memory Allocator for Hardware-
Accelerated Machine Learning", ASPLOS 2023, for the division into sections of time; Perron and
Didier, CP-SAT, in Google's OR-Tools, for the solver.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from tinytrain.plan.storage import ArenaStorage
from tinytrain.solver import make_solver

ALIGNMENT = 8
"""Offsets in the arena are multiples of this, in bytes."""

_TRIES = 400
_MEETINGS = 20_000_000
"""Limit of all tries together: pairs of storages that are live together, as often as they are
looked at. A network of hundreds of layers has fewer tries, and always the four first ones."""

_WORK = 0.1
"""Limit of one run of the solver, in its deterministic seconds: about 10 real seconds for a hundred
storages that are nearly all live together."""

_IN_SECTIONS = 200_000
"""The most entries of all sections for which the solver is asked."""


@dataclass(frozen=True)
class Placement:
    """Offsets of storages in the arena.

    Attributes:
        offsets: one per storage, in bytes, multiples of `ALIGNMENT`.
        nbytes: size of the arena, in bytes.
        proof: "bound met" if the arena is as large as the lower bound; "optimal" if the solver has
            proved that it cannot be smaller; "best found" otherwise.
        method: "first fit" or "CP-SAT", whichever found the offsets.
    """

    offsets: tuple[int, ...]
    nbytes: int
    proof: str
    method: str

    def __str__(self) -> str:
        return f"{self.proof} ({self.method})"


def aligned(nbytes: int) -> int:
    """Bytes that a storage of `nbytes` takes up: a multiple of `ALIGNMENT`."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def live_bytes(items: Sequence[ArenaStorage], span: range) -> list[int]:
    """The sum of live bytes at each node of a span.

    No arena is smaller than the largest of these sums: storages that are live together lie apart.
    """
    changes = [0] * (len(span) + 1)
    for item in items:
        first, end = max(item.first, span.start), min(item.last + 1, span.stop)
        if first < end:
            changes[first - span.start] += aligned(item.nbytes)
            changes[end - span.start] -= aligned(item.nbytes)
    return list(accumulate(changes[:-1]))


def place(items: Sequence[ArenaStorage], bound: int) -> Placement:
    """Offsets at which no two storages that are live together share a byte.

    Args:
        bound: lower bound of the arena, in bytes; the search ends when it is met.
    """
    offsets, nbytes = _first_fit(items, bound)
    if nbytes <= bound:
        return Placement(tuple(offsets), nbytes, "bound met", "first fit")
    return _solve(items, bound, Placement(tuple(offsets), nbytes, "best found", "first fit"))


class _FirstFit:
    """First fit of storages in one order after another.

    Attributes:
        sizes: of the storages, in bytes, aligned.
        meets: for each storage, those that are live together with it.
    """

    def __init__(self, items: Sequence[ArenaStorage]) -> None:
        self.sizes = [aligned(item.nbytes) for item in items]
        self.meets = _meetings(items)

    def place(self, order: Sequence[int], most: int | None = None) -> tuple[list[int], int] | None:
        """Offsets and the size of the arena; None as soon as it is larger than `most` bytes."""
        sizes, top = self.sizes, 0
        offsets, ends = [-1] * len(sizes), [-1] * len(sizes)
        for k in order:
            taken = [(offsets[j], ends[j]) for j in self.meets[k] if offsets[j] >= 0]
            taken.sort()
            offset, size = 0, sizes[k]
            for start, end in taken:
                if start - offset >= size:
                    break
                if end > offset:
                    offset = end
            offsets[k], ends[k] = offset, offset + size
            if ends[k] > top:
                top = ends[k]
                if most is not None and top > most:
                    return None
        return offsets, top


def _meetings(items: Sequence[ArenaStorage]) -> list[list[int]]:
    """For each storage, those that are live together with it."""
    found: list[list[int]] = [[] for _ in items]
    live: list[int] = []
    for k in sorted(range(len(items)), key=lambda k: items[k].first):
        live = [j for j in live if items[j].last >= items[k].first]
        for j in live:
            found[j].append(k)
        found[k] += live
        live.append(k)
    return found


def _first_fit(items: Sequence[ArenaStorage], bound: int) -> tuple[list[int], int]:
    """The best offsets that first fit finds, and the size of the arena."""
    fit = _FirstFit(items)
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
        placed = fit.place(order)
        if placed is not None and (best[1] < 0 or placed[1] < best[1]):
            best, best_order = placed, order
    generator = random.Random(0)
    meetings = sum(map(len, fit.meets))
    for _ in range(min(_TRIES, _MEETINGS // max(meetings, 1))):
        if best[1] <= bound or len(items) < 2:
            break
        order = list(best_order)
        for _ in range(generator.randint(1, 3)):
            order.insert(
                generator.randrange(len(order)), order.pop(generator.randrange(len(order)))
            )
        placed = fit.place(order, most=best[1])
        if placed is not None:
            best, best_order = placed, order
    return best


def _solve(items: Sequence[ArenaStorage], bound: int, known: Placement) -> Placement:
    """A smaller placement than a known one; else the known one, with what was proved of it."""
    sections = _sections(items)
    if sum(map(len, sections)) > _IN_SECTIONS:
        return known
    # Without a hint: a search near a placement that does not fit takes longer than a new one.
    met, _ = _run_solver(items, sections, bound, bound)
    if met is not None:
        return met
    found, is_smallest = _run_solver(items, sections, bound, known.nbytes, hint=known.offsets)
    if found is None or found.nbytes >= known.nbytes:
        return replace(known, proof="optimal") if is_smallest else known
    return found


def _sections(items: Sequence[ArenaStorage]) -> list[list[int]]:
    """Largest sets of storages that are live together; whatever meets meets in one of them."""
    order = sorted(range(len(items)), key=lambda k: items[k].first)
    found: list[list[int]] = []
    live: list[int] = []
    for place, k in enumerate(order):
        live.append(k)
        following = order[place + 1] if place + 1 < len(order) else None
        # A set is the largest of its kind where something ends before anything else begins.
        if following is None or any(items[j].last < items[following].first for j in live):
            found.append(sorted(live))
            if following is not None:
                live = [j for j in live if items[j].last >= items[following].first]
    return found


def _run_solver(
    items: Sequence[ArenaStorage],
    sections: Sequence[Sequence[int]],
    least: int,
    most: int,
    hint: Sequence[int] = (),
) -> tuple[Placement | None, bool]:
    """A placement of `least` to `most` bytes, if one is found, and whether none is smaller."""
    # Here, as it takes a third of a second, and few plans need it.
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    height = model.new_int_var(least // ALIGNMENT, most // ALIGNMENT, "height")
    starts, spans = [], []
    for k, item in enumerate(items):
        size = aligned(item.nbytes) // ALIGNMENT
        start = model.new_int_var(0, most // ALIGNMENT - size, f"start_{k}")
        model.add(start + size <= height)
        starts.append(start)
        spans.append(model.new_fixed_size_interval_var(start, size, f"span_{k}"))
    # One line for each section: half the time that rectangles (`no_overlap_2d`) take, or less.
    for section in sections:
        model.add_no_overlap([spans[k] for k in section])
    for start, offset in zip(starts, hint, strict=False):
        model.add_hint(start, offset // ALIGNMENT)
    model.minimize(height)
    solver = make_solver(_WORK)
    status = solver.solve(model)
    is_smallest = status == cp_model.OPTIMAL
    if not is_smallest and status != cp_model.FEASIBLE:
        return None, False
    nbytes = round(solver.objective_value) * ALIGNMENT
    proof = "bound met" if nbytes <= least else "optimal" if is_smallest else "best found"
    offsets = tuple(solver.value(start) * ALIGNMENT for start in starts)
    return Placement(offsets, nbytes, proof, "CP-SAT"), is_smallest
