"""What a session has unlearned: accuracy of each class, and forgetting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

ClassAccuracies = tuple[float | None, ...]
"""Of each class, 0 to 1; None where no evaluation sample has it."""


def class_accuracies(
    predictions: Sequence[int] | np.ndarray, labels: np.ndarray, classes: int
) -> ClassAccuracies:
    """Accuracy of each class in an evaluation.

    Args:
        predictions: class of each sample.
        labels: int [samples], 0 to classes - 1.
    """
    right = np.asarray(predictions) == labels
    chosen = (labels == label for label in range(classes))
    return tuple(float(np.mean(right[of])) if of.any() else None for of in chosen)


def forgetting(evaluations: Sequence[ClassAccuracies]) -> float | None:
    """Mean over classes of the best accuracy in an evaluation, minus that in the last one.

    As in Chaudhry et al., "Riemannian Walk for Incremental Learning", ECCV 2018, with classes for
    tasks and the last evaluation among those that count.

    Args:
        evaluations: in their order, at least one.
    """
    known = [
        [accuracy for accuracy in of if accuracy is not None]
        for of in zip(*evaluations, strict=True)
    ]
    lost = [max(of) - of[-1] for of in known if of]
    return sum(lost) / len(lost) if lost else None
