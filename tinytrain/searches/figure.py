"""The figure by which candidates are compared, in which more is better, and what people read."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tinytrain.data import Dataset
from tinytrain.simulation.forgetting import class_accuracies
from tinytrain.simulation.scores import are_unequal, balanced_accuracy


@dataclass(frozen=True)
class Figure:
    """A share, 1 at most.

    Attributes:
        noun: its name.
        said: what stands behind it in per cent, after so many steps.
    """

    noun: str
    said: str


RIGHT = Figure("accuracy", "right")
BALANCED = Figure("balanced accuracy", "right, the mean of the classes,")
LESS_LOSS = Figure("loss taken away", "of the loss taken away")

WORST = -1.0
"""Where training makes the loss twice as large, or infinite."""


def figure_of(data: Dataset) -> Figure:
    """What tells candidates apart that learn such samples."""
    if not data.spec.classes:
        return LESS_LOSS
    return BALANCED if are_unequal(data.targets(slice(None))) else RIGHT


def right(predicted: np.ndarray, labels: np.ndarray, classes: int, *, balanced: bool) -> float:
    """Share of samples whose class was found, 0 to 1.

    Args:
        balanced: the mean of that of each class that is there.
    """
    if not balanced:
        return float(np.mean(predicted == labels))
    found = balanced_accuracy(class_accuracies(predicted, labels, classes))
    assert found is not None, "there are samples"
    return found


def less_loss(before: float, after: float) -> float:
    """The share of a mean loss that training took away, from `WORST` to 1."""
    if not math.isfinite(after):
        return WORST
    return max(1.0 - after / before, WORST) if before > 0.0 else 0.0
