"""How long candidates train: as the work of a search allows, the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import macs_of
from tinytrain.searches.measured import TrialLength
from tinytrain.searches.split import SearchSamples

SHORT_SEEDS, LONG_SEEDS = (0, 1), (0, 1, 2)

SHORT_WORK, LONG_WORK = 1e11, 6e11
"""Multiplications of one short and of one long training, about, at most: a step goes forward, and
about twice as far back."""

SHORT_STEPS, LONG_STEPS = (200, 1500), (1000, 8000)
"""Least and most."""

SHORT_JUDGES, LONG_JUDGES = 512, 2048
"""Samples that judge, at most."""

SHORT_EPOCHS, LONG_EPOCHS = 3, 6
"""Passes over the samples to learn from at most, but for the least steps."""


@dataclass(frozen=True)
class Lengths:
    """How long candidates train.

    Attributes:
        short: of all candidates.
        long: of the few best.
        report: of these, where the samples that the choice never sees judge; None without any.
    """

    short: TrialLength
    long: TrialLength
    report: TrialLength | None


def lengths_for(forward: Graph, samples: SearchSamples) -> Lengths:
    """For a model and its samples."""
    step = 3 * max(sum(macs_of(node) for node in forward.nodes), 1)
    learned, judges = samples.counts
    short = _within(min(SHORT_WORK / step, SHORT_EPOCHS * learned), SHORT_STEPS)
    long = max(_within(min(LONG_WORK / step, LONG_EPOCHS * learned), LONG_STEPS), 2 * short)
    return Lengths(
        TrialLength("short", short, SHORT_SEEDS, min(judges, SHORT_JUDGES)),
        TrialLength("long", long, LONG_SEEDS, min(judges, LONG_JUDGES)),
        None
        if samples.eval is None
        else TrialLength("eval", long, LONG_SEEDS, len(samples.eval), "eval"),
    )


def _within(steps: float, bounds: tuple[int, int]) -> int:
    """In round numbers."""
    low, high = bounds
    return int(min(max(steps, low), high)) // 50 * 50
