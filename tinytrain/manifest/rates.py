"""What the manifest says of learning rates: how one was suggested, and a race of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.schema import Count, OneOf, Positive


@dataclass(frozen=True, kw_only=True)
class GuidanceRecord:
    """How the learning rate was suggested (docs/training.md).

    Attributes:
        suggested_rate: suggested initial learning rate; null if nothing could be measured.
        rate_limit: learning rate from which on a step overshoots; null if nothing could be
            measured.
        kernel: K, the measure that bounds the learning rate.
        curvature: largest curvature of the loss with respect to the outputs.
        share: share of a sample's error that a step at the suggested rate removes.
        margin: by how much logits of the predicted class are ahead of the next; 0 if it does not
            count.
        fresh_head: whether the head was found to know nothing yet.
        contrast: share of the head's input that differs between samples.
        samples: number of samples measured.
        measured_on: what the samples were.
    """

    suggested_rate: float | None
    rate_limit: float | None
    kernel: float
    curvature: float
    share: float
    margin: float
    fresh_head: bool
    contrast: float
    samples: Count
    measured_on: str


@dataclass(frozen=True, kw_only=True)
class RaceVariantRecord:
    """A learning rate and a schedule, and what they came to.

    Attributes:
        learning_rate: learning rate that the schedule starts from.
        schedule: the schedule.
        seeds: number of runs.
        new: mean on samples of the new world; null if a loss was not finite.
        old: mean on samples of the old world; null if there is none, or a loss was not finite.
    """

    learning_rate: float
    schedule: str
    seeds: Positive
    new: float | None
    old: float | None


@dataclass(frozen=True, kw_only=True)
class RaceRecord:
    """How the learning rate and the schedule were found (docs/training.md).

    Attributes:
        measure: what `new` and `old` are.
        keep: which task counted.
        changed: whether the new world was made of the calibration samples, which the model knows.
        steps: training steps of a run.
        learned: number of samples to learn from.
        judged: number of samples of each world that judge.
        new_before: as `new`, before training.
        old_before: as `old`, before training.
        winner: index of the variant that was taken.
        variants: what was tried.
    """

    measure: Annotated[str, OneOf(("accuracy", "loss"))]
    keep: str
    changed: bool
    steps: Positive
    learned: Positive
    judged: Positive
    new_before: float | None
    old_before: float | None
    winner: Count
    variants: tuple[RaceVariantRecord, ...]
