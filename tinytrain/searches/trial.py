"""A short training of a candidate, by the C that ships, and what judges say of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinytrain.compiler.options import Options
from tinytrain.reference.schedule import rate_at
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches.figure import less_loss, right
from tinytrain.searches.switches import Switches
from tinytrain.simulation.library import LibrarySamples
from tinytrain.simulation.stream import training_order


@dataclass(frozen=True)
class TrialScore:
    """How good a candidate is at the samples that judge: the mean over the seeds.

    Attributes:
        loss: as a step would report it, of a classification the cross-entropy; infinite where one
            was not finite.
        accuracy: share of the samples whose class is right, 0 to 1; where a sample has none, the
            share of the loss that training took away.
    """

    loss: float
    accuracy: float


def trial(
    switches: Switches,
    scheme: Scheme,
    learn: LibrarySamples,
    judge: LibrarySamples,
    *,
    steps: int,
    seeds: Sequence[int],
    rate: float | None = None,
    balanced: bool = False,
) -> TrialScore:
    """Trains a candidate once for each seed, from the factory state each time.

    Args:
        learn, judge: samples with inputs, best the same objects for all trials: what the layers
            before the first that trains make of them is kept (`Switches.with_frozen`). Of samples
            to learn from best no more than there are steps.
        steps: of each training, at least 1.
        seeds: of the order of the samples, at least one; the model's own draws do not change.
        rate: that the schedule of the model's options starts from; None takes what is suggested for
            the scheme.
        balanced: whether the accuracy is the mean of the classes' own.

    Raises:
        SchemeError: the candidate is not within the largest scheme.
        DataError: a label is out of range.
    """
    switches.set(scheme)
    rates = rates_of(
        switches.options, switches.suggested_rate(scheme) if rate is None else rate, steps
    )
    found = []
    learn, judge = switches.with_frozen(learn), switches.with_frozen(judge)
    switches.library.init()
    before = math.nan if switches.library.model.classes else judged(switches, judge)[0]
    for seed in seeds:
        switches.library.init()
        switches.library.train(learn, training_order(len(learn.targets), steps, seed), rates)
        loss, accuracy = judged(switches, judge, balanced=balanced)
        found.append((loss, less_loss(before, loss) if math.isnan(accuracy) else accuracy))
    losses, accuracies = zip(*found, strict=True)
    return TrialScore(float(np.mean(losses)), float(np.mean(accuracies)))


def rates_of(options: Options, rate: float, steps: int) -> np.ndarray:
    """The learning rate of each step by the options' schedule, float32 [steps]."""
    schedule, window = options.rate_schedule, options.accumulate
    return np.array([rate_at(schedule, rate, t // window) for t in range(steps)], np.float32)


def judged(
    switches: Switches, samples: LibrarySamples, *, balanced: bool = False
) -> tuple[float, float]:
    """Mean loss and accuracy of the state as it is; NaN where a sample has no class."""
    library = switches.library
    classes = library.model.classes
    if not classes:
        return _mean(library.score(samples)[0]), math.nan
    losses, predicted = library.evaluate(samples)
    return _mean(losses), right(predicted, samples.targets, classes, balanced=balanced)


def _mean(losses: np.ndarray) -> float:
    found = float(np.mean(losses, dtype=np.float64))
    return found if math.isfinite(found) else math.inf
