"""The findings of a search as one HTML file that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from tinytrain.reports import wording
from tinytrain.reports.picture import Mark, percent
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.figure import WORST
from tinytrain.searches.front import BESIDE, PRESET, Tried, gap_text
from tinytrain.searches.outputs import Asked, Findings
from tinytrain.toolchain.template import render
from tinytrain.version import __version__

NOUNS = {
    "chosen": "chosen",
    "longer": "trained longer",
    "short": "tried in short trainings",
    "preset": "presets",
    "beside": "given beside",
}
"""What a person calls each kind of dot."""

_TICKS = 6
_SMALL, _LARGE = 4, 7
_ROOM = 0.06
"""Of the height, above the best and below the worst."""


@dataclass(frozen=True)
class Dot:
    """A scheme in a picture: its place in per cent of width and height, and what it says."""

    x: float
    y: float
    kind: str
    radius: int
    name: str
    text: str


@dataclass(frozen=True, eq=False)
class Plot:
    """Accuracy against what a scheme takes.

    Attributes:
        title: of the picture.
        dots: of all schemes; one that trained longer has two.
        lines: of the front, (x1, y1, x2, y2) in per cent.
        across, down: ticks.
        limit: of the budget, in per cent of the width; None where it is beyond the picture.
    """

    title: str
    dots: tuple[Dot, ...]
    lines: tuple[tuple[float, float, float, float], ...]
    across: tuple[Mark, ...]
    down: tuple[Mark, ...]
    limit: float | None


def search_page(asked: Asked, found: Findings) -> bytes:
    """The page; the same findings give the same bytes."""
    limits, noun = asked.limits, asked.figure.noun.capitalize()
    plots = (
        _plot(f"{noun} against RAM, bytes", "ram", limits.ram, found),
        _plot(f"{noun} against instructions of a step", "instructions", limits.instructions, found),
    )
    kinds = {_kind(one, found) for one in found.tried} | {"short"}
    text = render(
        "codegen",
        "search.html.j2",
        asked=asked,
        found=found,
        chosen=found.chosen,
        cost=found.chosen.fitted or found.chosen.takes,
        plots=plots,
        nouns={kind: noun for kind, noun in NOUNS.items() if kind in kinds},
        kind_of=lambda one: _kind(one, found),
        bars=_bars(found),
        gap=gap_text(found.chosen),
        noun=noun,
        toml=scheme_text(found.chosen.scheme),
        version=__version__,
        size=wording.size_text,
        short=wording.count_text,
        share=wording.percent_text,
        percent=percent,
    )
    return text.encode()


def _kind(one: Tried, found: Findings) -> str:
    if one is found.chosen:
        return "chosen"
    if one.origin in (PRESET, BESIDE):
        return one.origin
    return "longer" if one.long is not None else "short"


def _plot(title: str, what: str, limit: int | None, found: Findings) -> Plot:
    costs = [getattr(one.takes, what) for one in found.tried]
    most = max(costs) or 1
    marks = [(one, marks) for one in found.tried for marks in (one.short, one.long) if marks]
    low = max(min(marks.accuracy for _, marks in marks), WORST)
    high = max(marks.accuracy for _, marks in marks)
    room = _ROOM * (high - low) or 0.01
    low, high = max(low - room, min(low, 0.0)), min(high + room, 1.0)

    def place(one: Tried, accuracy: float) -> tuple[float, float]:
        x = round(100 * getattr(one.takes, what) / (1.03 * most), 2)
        return x, round(100 * (high - accuracy) / (high - low), 2)

    dots = []
    for one, at in marks:
        x, y = place(one, at.accuracy)
        kind = "short" if at is one.short and one.long is not None else _kind(one, found)
        radius = _SMALL if at is one.short else _LARGE
        dots.append(Dot(x, y, kind, radius, one.name, _text(one)))
    # Of dots that lie on each other the chosen one is on top.
    dots.sort(key=lambda dot: -list(NOUNS).index(dot.kind))
    line = [place(one, (one.long or one.short).accuracy) for one in found.front(what)]
    return Plot(
        title,
        tuple(dots),
        tuple(_stairs(line)),
        tuple(_ticks(1.03 * most, what)),
        tuple(_levels(low, high)),
        100 * limit / (1.03 * most) if limit is not None and limit <= 1.03 * most else None,
    )


def _stairs(
    line: Sequence[tuple[float, float]],
) -> Iterator[tuple[float, float, float, float]]:
    for (x, y), (next_x, next_y) in pairwise(line):
        yield x, y, next_x, y
        yield next_x, y, next_x, next_y
    if line:
        x, y = line[-1]
        yield x, y, 100.0, y


def _text(one: Tried) -> str:
    lines = [one.name, one.origin]
    lines.append(f"{one.takes.ram:,} bytes of RAM, {one.takes.instructions:,} instructions")
    for name, marks in (("short", one.short), ("long", one.long), ("eval", one.eval)):
        if marks is not None:
            lines.append(f"{name}: {100 * marks.accuracy:.1f} %, loss {marks.loss:.4f}")
    if one.gap is not None:
        lines.append(gap_text(one))
    return "\n".join(lines)


def _ticks(most: float, what: str) -> Iterator[Mark]:
    """Round numbers from 0 to `most`."""
    units = (1 << k for k in range(64)) if what == "ram" else _decimals()
    unit = next(unit for unit in units if most / unit <= _TICKS)
    word = wording.size_text if what == "ram" else wording.count_text
    for at in range(0, int(most) + 1, unit):
        yield Mark(round(100 * at / most, 2), word(at))


def _decimals() -> Iterator[int]:
    """1, 2 and 5 times the powers of ten."""
    return (digit * int(f"1{'0' * power}") for power in range(20) for digit in (1, 2, 5))


def _levels(low: float, high: float) -> Iterator[Mark]:
    """Accuracies in round numbers, measured from the top."""
    unit = next(
        unit
        for unit in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5)
        if (high - low) / unit <= _TICKS + 1
    )
    first = int(low / unit) + 1
    for k in range(first, int(high / unit) + 1):
        at = k * unit
        yield Mark(round(100 * (high - at) / (high - low), 2), f"{100 * at:.3g} %")


def _bars(found: Findings) -> list[Mapping[str, object]]:
    """Of each layer its contribution and its worth, in per cent of the largest."""
    gains = {layer: gain for layer, gain in found.contributions.items() if math.isfinite(gain)}
    worth = found.worth
    most_gain = max([*gains.values(), 1e-12])
    most_worth = max([*worth.values(), 1e-300])
    shares = found.chosen.scheme.weights
    return [
        {
            "name": layer,
            "gain": gains.get(layer),
            "gain_width": round(max(100 * gains.get(layer, 0.0) / most_gain, 0.0), 2),
            "worth": value,
            "worth_width": round(max(100 * value / most_worth, 0.0), 2),
            "bias": layer in found.chosen.scheme.biases,
            "weights": _share_text(shares[layer]) if layer in shares else "",
        }
        for layer, value in worth.items()
    ]


def _share_text(share: object) -> str:
    channels = getattr(share, "channels", None)
    if channels is not None:
        return f"{len(channels)} channels"
    fraction: float = getattr(share, "fraction", 1.0)
    return "all" if fraction == 1.0 else f"{100 * fraction:.3g} %"
