"""A set of large value where values do not add up: by changes, each the best of those that fit.

From the head alone, each change gives one layer another ratio, or changes the number of biases.
Where none of these is better, two together may be: one that frees something, and any other. What
fits is said by the lines of `choosing.knapsack`.
The end is a set that no such change makes better, not the proof of a best one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.choosing.knapsack import Line
from tinytrain.scheme.scheme import Scheme

Candidate = tuple[int, dict[str, float]]

Gains = Callable[[Sequence[tuple[int, Ratios]]], list[float]]
"""What each of several schemes is worth."""


def climb(
    choices: Choices, gains: Gains, limits: Mapping[str, int], lines: Sequence[Line]
) -> tuple[Scheme, float] | None:
    """A scheme that no single change makes better, and its value; None where no head fits.

    Args:
        gains: 0 of the head alone.
        limits: by what is summed; what is missing has no limit.
        lines: sums that keep them, where they hold.
    """

    def fits(one: Candidate) -> bool:
        return all(
            line.sum(*one) <= limits[line.what]
            for line in lines
            if line.what in limits and line.holds(*one)
        )

    now: Candidate = (0, {})
    if not fits(now):
        return None
    value = 0.0
    while True:
        better = _best(list(_changed(choices, now)), gains, fits, value)
        if better is None:
            better = _best(list(_exchanged(choices, now)), gains, fits, value)
        if better is None:
            return choices.scheme(*now), value
        now, value = better


def _best(
    candidates: Sequence[Candidate],
    gains: Gains,
    fits: Callable[[Candidate], bool],
    value: float,
) -> tuple[Candidate, float] | None:
    """The best that is worth more than a value and fits; of equals the first."""
    if not candidates:
        return None
    found = gains(candidates)
    for k in sorted(range(len(found)), key=lambda k: -found[k]):
        if found[k] <= value:
            return None
        if fits(candidates[k]):
            return candidates[k], found[k]
    return None


def _changed(choices: Choices, now: Candidate) -> Iterator[Candidate]:
    """Another number of biases, or another ratio of one layer."""
    count, ratios = now
    least = _reached(choices, ratios)
    for other in choices.counts:
        if other != count and other >= least:
            yield other, ratios
    for layer, possible in choices.ratios.items():
        for ratio in possible:
            if ratio != ratios.get(layer, 0.0):
                yield _with(choices, count, ratios, layer, ratio)


def _exchanged(choices: Choices, now: Candidate) -> Iterator[Candidate]:
    """A layer less, or less of one, or no bias that need not train; and one change beside."""
    count, ratios = now
    for layer, held in ratios.items():
        lower = [ratio for ratio in choices.ratios[layer] if ratio < held]
        for ratio in sorted({lower[0], lower[-1]}):
            yield from _changed(choices, _with(choices, count, ratios, layer, ratio))
    least = _reached(choices, ratios)
    if least < count:
        yield from _changed(choices, (least, ratios))


def _with(
    choices: Choices, count: int, ratios: Mapping[str, float], layer: str, ratio: float
) -> Candidate:
    changed = {one: held for one, held in ratios.items() if one != layer}
    if not ratio:
        return count, changed
    return max(count, choices.reach(layer)), {**changed, layer: ratio}


def _reached(choices: Choices, ratios: Ratios) -> int:
    """How many biases train at least with these ratios."""
    return max((choices.reach(layer) for layer in ratios), default=0)
