"""The arena over time as rectangles: one unit to the right is a step, one unit down a byte."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from tinytrain.manifest.arena import KINDS, ArenaRecord, StepRecord, StorageRecord
from tinytrain.reports.wording import size_text

NOUNS = {
    "input": "input",
    "activation": "activation",
    "saved": "saved for the backward pass",
    "gradient": "gradient",
    "scratch": "workspace",
}
"""What a person calls each kind."""

_TICKS = 6
# Of the width or height: smaller bars have no room for their name.
_LABEL_WIDTH, _LABEL_HEIGHT = 8.0, 4.5


@dataclass(frozen=True)
class Bar:
    """A rectangle of the picture, in steps and bytes, with what it says when it is pointed at."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    name: str
    layer: str
    text: str


@dataclass(frozen=True)
class Mark:
    """Something at a place along an axis, in per cent of it."""

    at: float
    text: str
    size: float = 0.0


def bars(arena: ArenaRecord) -> list[Bar]:
    """A bar for each storage, in the order of time; offset 0 is at the bottom."""
    ordered = sorted(arena.storages, key=lambda s: (s.first, s.offset, s.last, s.name))
    return [
        Bar(
            x=storage.first,
            y=arena.nbytes - storage.offset - storage.nbytes,
            width=storage.last - storage.first + 1,
            height=storage.nbytes,
            kind=storage.kind,
            name=storage.name,
            layer=storage.layer,
            text=_storage_text(arena, storage),
        )
        for storage in ordered
        if storage.nbytes
    ]


def _storage_text(arena: ArenaRecord, storage: StorageRecord) -> str:
    first, last = arena.steps[storage.first], arena.steps[storage.last]
    when = f"step {storage.first}, {first.name}"
    if storage.last > storage.first:
        when = f"steps {storage.first} to {storage.last}, {first.name} to {last.name}"
    what = NOUNS[storage.kind] + (f", layer {storage.layer}" if storage.layer else "")
    end = storage.offset + storage.nbytes
    return (
        f"{storage.name}\n{what}\n{storage.nbytes:,} bytes, {storage.offset:,} to {end:,}\n{when}"
    )


def names_in(arena: ArenaRecord, drawn: Sequence[Bar]) -> list[tuple[Bar, Mark, Mark]]:
    """Bars with room for their name, with their places along both axes."""
    found = []
    for bar in drawn:
        across = Mark(percent(bar.x, len(arena.steps)), "", percent(bar.width, len(arena.steps)))
        down = Mark(percent(bar.y, arena.nbytes), "", percent(bar.height, arena.nbytes))
        if across.size >= _LABEL_WIDTH and down.size >= _LABEL_HEIGHT:
            found.append((bar, across, down))
    return found


def live_areas(arena: ArenaRecord) -> list[tuple[str, str]]:
    """(kind, path) of the live bytes of each kind over the steps, stacked; 0 is at the bottom."""
    below = [0] * len(arena.steps)
    areas = []
    for kind in KINDS:
        sums = list(below)
        for storage in arena.storages:
            if storage.kind == kind:
                for step in range(storage.first, storage.last + 1):
                    sums[step] += storage.nbytes
        if sums != below:
            areas.append((kind, _area(below, sums, arena.lower_bound)))
        below = sums
    return areas


def _area(below: Sequence[int], above: Sequence[int], top: int) -> str:
    """The outline between two rows of steps."""
    there = "".join(f"V{top - y}H{x + 1}" for x, y in enumerate(above))
    back = "".join(f"V{top - below[x]}H{x}" for x in reversed(range(len(below))))
    return f"M0 {top - below[0]}{there}{back}Z"


def step_text(index: int, step: StepRecord) -> str:
    """What a step says when it is pointed at."""
    layer = f", layer {step.layer}" if step.layer else ""
    cost = "no estimate" if step.instructions is None else f"{step.instructions:,} instructions"
    return (
        f"{step.name}\nstep {index}, {step.part}, {step.op}{layer}\n"
        f"{step.live_bytes:,} bytes live\n{cost}"
    )


def parts(steps: Sequence[StepRecord]) -> list[Mark]:
    """Forward pass, loss and backward pass: where each begins, and how long it is."""
    count, start, found = len(steps), 0, []
    for part, group in groupby(steps, key=lambda step: step.part):
        length = len(list(group))
        found.append(Mark(percent(start, count), part, percent(length, count)))
        start += length
    return found


def byte_ticks(most: int) -> list[Mark]:
    """Round numbers of bytes from 0 to `most`, measured from the top."""
    unit = 1
    while most / unit > _TICKS:
        unit *= 2
    return [Mark(100 - percent(at, most), size_text(at)) for at in range(0, most + 1, unit)]


def step_ticks(steps: int) -> list[Mark]:
    """Round numbers of steps, each at the middle of its step."""
    unit = next(
        u * 10**e for e in range(12) for u in (1, 2, 5) if steps / (u * 10**e) <= 2 * _TICKS
    )
    return [Mark(percent(2 * at + 1, 2 * steps), f"{at:,}") for at in range(0, steps, unit)]


def percent(part: float, whole: float) -> float:
    """A share in per cent, rounded, so that a page has the same bytes everywhere."""
    return round(100 * part / whole, 3) if whole else 0.0
