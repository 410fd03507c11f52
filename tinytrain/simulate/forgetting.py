"""What a session has unlearned: accuracy of each class, and forgetting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinytrain.simulate.engine import Evaluation
from tinytrain.simulate.stream import Stream

ClassAccuracies = tuple[float | None, ...]
"""Of each class, 0 to 1; None where no evaluation sample has it."""


def class_accuracies(plan: Stream, evaluation: Evaluation) -> ClassAccuracies | None:
    """Accuracy of each class in an evaluation; None for a regression, and where nothing was
    evaluated."""
    if plan.evaluation is None or plan.train.spec.classes == 0:
        return None
    labels = plan.evaluation.targets(slice(None))
    right = np.asarray(evaluation.predictions) == labels
    chosen = (labels == label for label in range(plan.train.spec.classes))
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
