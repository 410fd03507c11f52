"""What the manifest says of a race of learning rates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.schema import Count, OneOf, Positive


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
