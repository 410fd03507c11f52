"""Who races, and who wins: `race` runs them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinytrain.compiler.compiled import Compiled

SEEDS = (0, 1, 2)
"""Of the runs of a finalist."""

CHANCE = 2.0
"""Standard errors of a paired difference that chance explains."""


@dataclass(frozen=True)
class Entrant:
    """A learning rate and a schedule."""

    rate: float
    schedule: str


@dataclass(eq=False)
class Lane:
    """What one variant did.

    Attributes:
        new, old: of each seed how good it was at each sample: 1 or 0 for right or wrong, or minus
            the loss; NaN for a sample that did not judge this run.
    """

    variant: Entrant
    new: list[np.ndarray] = field(default_factory=list)
    old: list[np.ndarray] = field(default_factory=list)

    def marks(self, keep: str, seeds: int) -> tuple[np.ndarray, ...]:
        """Means over the first seeds, of the samples that judged of each world that counts."""
        worlds = (self.new, self.old) if keep == "old" else (self.new,)
        return tuple(means(world[:seeds]) for world in worlds)

    def score(self, keep: str, seeds: int) -> float:
        """The mean of the worlds that count; minus infinity where a loss was not finite."""
        found = float(np.mean([marks.mean() for marks in self.marks(keep, seeds)]))
        return found if math.isfinite(found) else -math.inf


def means(world: Sequence[np.ndarray]) -> np.ndarray:
    """Of each sample that judged, over the runs that it judged."""
    marks = np.stack(world)
    found: np.ndarray = np.nanmean(marks[:, ~np.isnan(marks).all(axis=0)], axis=0)
    return found


def finalists_of(lanes: Sequence[Lane], compiled: Compiled) -> list[Lane]:
    """The better half, and of each schedule the suggestion: one run alone must not put it out."""
    ranked = sorted(lanes, key=lambda lane: -lane.score(compiled.options.keep, 1))
    found = ranked[: -(-len(lanes) // 2)]
    for schedule in dict.fromkeys(lane.variant.schedule for lane in lanes):
        entered = (lane for lane in lanes if lane.variant.schedule == schedule)
        suggested = min(entered, key=lambda lane: _away(lane, compiled))
        if suggested not in found:
            found.append(suggested)
    return found


def _away(lane: Lane, compiled: Compiled) -> float:
    """How far from the suggested rate, as a logarithm."""
    return abs(math.log(lane.variant.rate / compiled.rate)) if lane.variant.rate else math.inf


def winner_of(lanes: Sequence[Lane], compiled: Compiled) -> Lane:
    """Of those that are as good as the best the one nearest to the suggestion."""
    keep = compiled.options.keep
    finalists = [lane for lane in lanes if len(lane.new) == len(SEEDS)]
    best = max(finalists, key=lambda lane: lane.score(keep, len(SEEDS)))

    def near(lane: Lane) -> tuple[float, bool]:
        return _away(lane, compiled), lane.variant.schedule != compiled.options.schedule

    return min((lane for lane in finalists if _as_good(lane, best, keep)), key=near)


def _as_good(lane: Lane, best: Lane, keep: str) -> bool:
    """Whether the best is ahead by no more than chance, `CHANCE` standard errors of the lead."""
    seeds = len(SEEDS)
    if lane is best or not math.isfinite(best.score(keep, seeds)):
        return True
    if not math.isfinite(lane.score(keep, seeds)):
        return False
    pairs = zip(best.marks(keep, seeds), lane.marks(keep, seeds), strict=True)
    ahead = [first - second for first, second in pairs]
    lead = float(np.mean([part.mean() for part in ahead]))
    error = math.sqrt(sum(float(part.var()) / len(part) for part in ahead)) / len(ahead)
    return lead <= CHANCE * error
