"""What every engine of an experiment offers: it learns in a given order, and is evaluated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tinytrain.simulation.forgetting import ClassAccuracies, class_accuracies

RateOf = Callable[[int], float]
"""The learning rate of a step, counted from 0: a float32 value, 0 to 1024."""


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs as the compiled model takes them, and their labels. Arrays may be memory-mapped.

    Attributes:
        train_x: to learn from, int8 [N, H, W, C]; quantized as the model's input is.
        train_y: int32 [N], 0 to classes - 1.
        test_x: to be evaluated, int8 [M, H, W, C]; those of an old task come last.
        test_y: int32 [M].
    """

    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@dataclass(frozen=True, eq=False)
class Score:
    """One evaluation over all test samples.

    Attributes:
        labels: int32 [M].
        losses: cross-entropy of each sample, without label smoothing or class weights, float [M];
            None where classes are told by distances, which have none.
        predictions: the class of the largest output, int [M].
    """

    labels: np.ndarray
    losses: np.ndarray | None
    predictions: np.ndarray

    @property
    def accuracy(self) -> float:
        """Share whose largest output is their label's, 0 to 1."""
        return float(np.mean(self.predictions == self.labels))

    @property
    def loss(self) -> float | None:
        """Mean cross-entropy."""
        return None if self.losses is None else float(np.mean(self.losses, dtype=np.float64))

    def of_classes(self, classes: int) -> ClassAccuracies:
        """Accuracy of each class."""
        return class_accuracies(self.predictions, self.labels, classes)

    def part(self, chosen: slice) -> Score:
        """Of some of the samples."""
        losses = None if self.losses is None else self.losses[chosen]
        return Score(self.labels[chosen], losses, self.predictions[chosen])


class Learner(Protocol):
    """One run: made from a compiled model, samples, rates and a seed, in its factory state.

    An engine in PyTorch is called as `(compiled, samples, rate_of, seed, **settings)` with the
    `pipeline.Compiled` of the run, `Samples`, a `RateOf`, and the run's seed, 0 to 2**32 - 1, for
    whatever it draws at random.
    """

    def train(self, order: np.ndarray) -> np.ndarray:
        """Go on learning, one sample a step.

        Args:
            order: the training sample of each step, int64 [n].

        Returns:
            The loss of each step before its update, float32 [n]; empty where nothing trains.
        """
        ...

    def evaluate(self) -> Score:
        """Evaluate as the state is; nothing in it changes."""
        ...
