"""What the calls of a device give back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinytrain.data import Dataset, SampleSpec
from tinytrain.losses import SampleTarget
from tinytrain.simulation.library import HostLibrary, LibrarySamples


@dataclass(frozen=True, eq=False)
class StepResult:
    """What training steps reported, each before its update.

    Attributes:
        losses: of each step, float32 [n]. A step whose loss is NaN or infinite changed nothing.
        predictions: the class predicted in each step, int32 [n]; empty for a regression.
    """

    losses: np.ndarray
    predictions: np.ndarray

    @property
    def loss(self) -> float:
        """Of the step; of several the mean over those that were not skipped."""
        learned = self.losses[np.isfinite(self.losses)]
        found = learned if learned.size else self.losses
        return float(np.mean(found, dtype=np.float64)) if found.size else float("nan")

    @property
    def prediction(self) -> int | None:
        """The class predicted in the last step; None for a regression."""
        return int(self.predictions[-1]) if self.predictions.size else None

    @property
    def skipped(self) -> int:
        """Steps that changed nothing, since their loss was NaN or infinite."""
        return int(np.count_nonzero(~np.isfinite(self.losses)))

    def __repr__(self) -> str:
        return (
            f"StepResult(loss={self.loss:.6g}, prediction={self.prediction}, "
            f"steps={self.losses.size}, skipped={self.skipped})"
        )


@dataclass(frozen=True)
class EvaluationResult:
    """How well a model does on samples; nothing was learned.

    Attributes:
        loss: mean over the samples.
        accuracy: share of samples whose predicted class is their label, 0 to 1; where a sample has
            a label for each pixel, or several at once, the share of all of them that are right.
            None for a regression.
        predictions: the class predicted for each sample, int32 [n]; empty for a regression.
    """

    loss: float
    accuracy: float | None
    predictions: np.ndarray = field(repr=False, compare=False)


@dataclass(frozen=True)
class RehearsalResult:
    """How well a model does on its rehearsal set.

    Attributes:
        loss: mean over the samples.
        accuracy: share of samples whose predicted class is their label, 0 to 1; None where nothing
            is a label.
        recall: of each class the share of its samples that are predicted right; None for a class
            that the set lacks. Empty where nothing is a label.
    """

    loss: float
    accuracy: float | None
    recall: tuple[float | None, ...]


def joined(results: Sequence[StepResult]) -> StepResult:
    """The steps of several results, in order."""
    empty = StepResult(np.empty(0, np.float32), np.empty(0, np.int32))
    return StepResult(
        np.concatenate([empty.losses, *(result.losses for result in results)]),
        np.concatenate([empty.predictions, *(result.predictions for result in results)]),
    )


@dataclass(frozen=True, eq=False)
class Scores:
    """What an evaluation found of some samples: a loss, a prediction and whether it was right for
    each; of several labels whether each was right. The latter two are empty for a regression.
    """

    losses: np.ndarray
    predictions: np.ndarray
    right: np.ndarray


def scored(library: HostLibrary, samples: LibrarySamples, spec: SampleSpec) -> Scores:
    """The scores of samples; nothing is learned."""
    losses, predictions = library.score(samples)
    nothing, targets = np.empty(0, np.int32), samples.targets
    if spec.wants is SampleTarget.LABEL:
        return Scores(losses, predictions, predictions == targets)
    if spec.wants is SampleTarget.VALUES:
        return Scores(losses, nothing, nothing == 0)
    assert samples.inputs is not None
    outputs = library.infer(samples.inputs)
    if spec.wants is SampleTarget.PIXELS:
        classes = outputs.reshape(*targets.shape, spec.pixel_classes).argmax(axis=-1)
        return Scores(losses, nothing, (classes == targets).ravel())
    return Scores(losses, nothing, ((outputs > 0) == (targets > 0.5)).ravel())


def evaluation_of(scores: Sequence[Scores]) -> EvaluationResult:
    """The evaluation of all samples, of at least one."""
    losses = np.concatenate([one.losses for one in scores])
    right = np.concatenate([one.right for one in scores])
    return EvaluationResult(
        loss=float(np.mean(losses, dtype=np.float64)),
        accuracy=float(np.mean(right)) if right.size else None,
        predictions=np.concatenate([one.predictions for one in scores]),
    )


def library_samples(data: Dataset, part: slice) -> LibrarySamples:
    """Some of the samples of a dataset, as the library takes them."""
    return LibrarySamples(np.ascontiguousarray(data.targets(part)), data.quantized(part))
