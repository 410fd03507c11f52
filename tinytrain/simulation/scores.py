"""What an evaluation says of a model: accuracy of all samples and of each class, confusions."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinytrain.data import Dataset
from tinytrain.manifest.rehearsal import RehearsalRecord
from tinytrain.simulation.engine import Checkpoint, Evaluation, RawOutcome, RehearsalScore
from tinytrain.simulation.forgetting import ClassAccuracies, class_accuracies, forgetting
from tinytrain.simulation.stream import SampleStream

UNEQUAL = 2
"""How many times more samples the most frequent class has than the rarest, from where on classes
count as unequal, and the balanced accuracy leads."""


@dataclass(frozen=True)
class EvaluationScores:
    """A figure that an evaluation does not have is None.

    Attributes:
        accuracy: share of the samples, pixels or labels that are predicted right, 0 to 1.
        balanced_accuracy: mean of the classes' own accuracies, which are their recalls.
        class_accuracy: of each class; None for one without samples.
        mse: squared error averaged over outputs and samples.
    """

    accuracy: float | None = None
    balanced_accuracy: float | None = None
    class_accuracy: ClassAccuracies | None = None
    mse: float | None = None


@dataclass(frozen=True)
class Confusion:
    """What was taken for what.

    Attributes:
        before, after: of samples of each class (rows) how many were predicted as each class, before
            and after training.
        f1_before, f1_after: of each class 2·right/(its samples + its predictions); None for a class
            that is neither there nor predicted.
        macro_f1_before, macro_f1_after: their means.
    """

    before: tuple[tuple[int, ...], ...]
    after: tuple[tuple[int, ...], ...]
    f1_before: ClassAccuracies
    f1_after: ClassAccuracies
    macro_f1_before: float | None
    macro_f1_after: float | None


@dataclass(frozen=True)
class CurvePoint:
    """An evaluation between steps.

    Attributes:
        step: training steps before it.
        accuracy: for a classification, 0 to 1.
        loss: mean over the evaluation samples.
        balanced_accuracy: mean of the classes' own accuracies.
        accuracy_old, balanced_accuracy_old: of the samples of the old task.
    """

    step: int
    accuracy: float | None
    loss: float
    balanced_accuracy: float | None = None
    accuracy_old: float | None = None
    balanced_accuracy_old: float | None = None


@dataclass(frozen=True)
class OldTask:
    """What became of what the model knew before; the figures are those of `SimulationResult`."""

    accuracy_before: float | None
    accuracy_after: float | None
    balanced_accuracy_before: float | None
    balanced_accuracy_after: float | None
    class_accuracy_before: ClassAccuracies | None
    class_accuracy_after: ClassAccuracies | None
    forgetting: float | None
    mse_before: float | None
    mse_after: float | None


def scores_of(evaluation: Evaluation, data: Dataset | None) -> EvaluationScores:
    """The scores of an evaluation of these samples."""
    if data is None:
        return EvaluationScores()
    spec = data.spec
    if evaluation.right:
        return EvaluationScores(statistics.mean(evaluation.right) / spec.target_size)
    if evaluation.squares:
        squares = evaluation.squares
        return EvaluationScores(mse=sum(squares) / len(squares) / spec.output_size)
    return label_scores(evaluation.predictions, data)


def label_scores(predictions: Sequence[int], data: Dataset | None) -> EvaluationScores:
    """The scores of predicted classes; nothing for samples that have none, or without samples."""
    if data is None or not data.spec.classes or not predictions:
        return EvaluationScores()
    labels = data.targets(slice(None))
    each = class_accuracies(predictions, labels, data.spec.classes)
    right = float(np.mean(np.asarray(predictions) == labels))
    return EvaluationScores(right, balanced_accuracy(each), each)


def balanced_accuracy(classes: ClassAccuracies) -> float | None:
    """The mean over the classes that have samples; None if none has."""
    known = [accuracy for accuracy in classes if accuracy is not None]
    return mean_of(known)


def are_unequal(labels: np.ndarray) -> bool:
    """Whether one class has at least `UNEQUAL` times as many samples as another that is there."""
    _, counts = np.unique(labels, return_counts=True)
    return bool(counts.size > 1 and counts.max() >= UNEQUAL * counts.min())


def parted(evaluation: Evaluation, count: int) -> tuple[Evaluation, Evaluation]:
    """An evaluation of two sets, one after the other, as one of each; `count`: of the first."""
    parts = [
        Evaluation(evaluation.predictions[part], evaluation.squares[part], evaluation.right[part])
        for part in (slice(None, count), slice(count, None))
    ]
    return parts[0], parts[1]


def confusion(before: Sequence[int], after: Sequence[int], data: Dataset) -> Confusion | None:
    """Of the evaluation samples; None for samples without a class."""
    if not data.spec.classes or not before:
        return None
    tables = [_table(predictions, data) for predictions in (before, after)]
    scores = [_f1(table) for table in tables]
    found = [tuple(tuple(int(count) for count in row) for row in table) for table in tables]
    means = [balanced_accuracy(each) for each in scores]
    return Confusion(found[0], found[1], scores[0], scores[1], means[0], means[1])


def _table(predictions: Sequence[int], data: Dataset) -> np.ndarray:
    classes = data.spec.classes
    # Where nothing is enrolled yet the prediction is the number of classes: it is none of them.
    table = np.zeros((classes, classes + 1), np.int64)
    np.add.at(table, (data.targets(slice(None)), np.asarray(predictions)), 1)
    return table[:, :classes]


def _f1(table: np.ndarray) -> ClassAccuracies:
    sums = table.sum(axis=0) + table.sum(axis=1)
    return tuple(
        2 * int(right) / int(total) if total else None
        for right, total in zip(np.diag(table), sums, strict=True)
    )


def old_task(
    stream: SampleStream, outcome: RawOutcome, between: Sequence[EvaluationScores]
) -> OldTask:
    """Of a session that evaluated samples of it; between: their scores between steps."""
    parts = (parted(one, stream.judged_count)[1] for one in (outcome.before, outcome.after))
    before, after = (scores_of(part, stream.old) for part in parts)
    return OldTask(
        accuracy_before=before.accuracy,
        accuracy_after=after.accuracy,
        balanced_accuracy_before=before.balanced_accuracy,
        balanced_accuracy_after=after.balanced_accuracy,
        class_accuracy_before=before.class_accuracy,
        class_accuracy_after=after.class_accuracy,
        forgetting=forgetting_of((before, *between, after)),
        mse_before=before.mse,
        mse_after=after.mse,
    )


def forgetting_of(scores: Sequence[EvaluationScores]) -> float | None:
    """Forgetting over evaluations in their order; None where samples have no class."""
    return forgetting([one.class_accuracy for one in scores if one.class_accuracy])


def curve_point(point: Checkpoint, new: EvaluationScores, old: EvaluationScores) -> CurvePoint:
    """A point from its scores on the evaluation samples and on those of the old task."""
    return CurvePoint(
        step=point.step,
        accuracy=new.accuracy,
        loss=point.loss,
        balanced_accuracy=new.balanced_accuracy,
        accuracy_old=old.accuracy,
        balanced_accuracy_old=old.balanced_accuracy,
    )


def stopped_at(outcome: RawOutcome) -> int | None:
    """Training steps before the evaluation that ended training; None if none did."""
    last = outcome.checkpoints[-1:]
    return last[0].step if last and last[0].verdict == "stop" else None


def best_point(outcome: RawOutcome, curve: Sequence[CurvePoint]) -> CurvePoint | None:
    """The last point that was better than all before it."""
    better = [k for k, point in enumerate(outcome.checkpoints) if point.verdict == "improved"]
    return curve[better[-1]] if better else None


def classes_are_unequal(data: Dataset | None) -> bool | None:
    """`are_unequal` of evaluation samples; None where they have no class, or there are none."""
    if data is None or not data.spec.classes:
        return None
    return are_unequal(data.targets(slice(None)))


def loss_falls(losses: Sequence[float], window: int) -> bool | None:
    """Whether the last losses are smaller than the first; None for less than two."""
    if len(losses) < 2:
        return None
    return sum(losses[-window:]) < sum(losses[:window])


def recall_of(score: RehearsalScore | None) -> ClassAccuracies | None:
    """Accuracy of each class of a rehearsal set; None where nothing is a label."""
    if score is None or not score.recall:
        return None
    return tuple(None if share < 0 else share for share in score.recall)


def rehearsal_accuracy(held: RehearsalRecord | None, score: RehearsalScore | None) -> float | None:
    """Share of a rehearsal set that is predicted right; None without one, or without classes."""
    return score.correct / held.slots if score and held and held.classes else None


def rehearsal_loss(score: RehearsalScore | None) -> float | None:
    """Mean loss over a rehearsal set."""
    return None if score is None else score.loss


def accuracy_new_of(stream: SampleStream, outcome: RawOutcome) -> float | None:
    """Share of the new samples whose class was predicted right before the step on them."""
    if not outcome.predictions or stream.train.y is None or stream.unlabelled:
        return None
    # Fewer than planned where training stopped early.
    labels = stream.train.targets(stream.order[: len(outcome.predictions)])
    return float(np.mean(np.asarray(outcome.predictions) == labels))


def steady_mean(counts: Sequence[int]) -> int | None:
    """Of counted instructions, the first reading left out; None for less than two."""
    return round(statistics.mean(counts[1:])) if len(counts) > 1 else None


def mean_of(values: Sequence[float]) -> float | None:
    """The mean; None of nothing."""
    return sum(values) / len(values) if values else None
