"""What training can minimize: a row for each loss, and what each has to know of a sample."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

AUTO = "auto"
"""Stands for the loss that suits the end of a model: `suited` says which."""


class SampleTarget(enum.Enum):
    """What the target of one sample is."""

    LABEL = "label"
    """Its class, an s32. The model gives an output for each class, or one for two classes."""
    SHARES = "shares"
    """From 0 to 1 for each output, f32: whether a label applies."""
    VALUES = "values"
    """Any finite number for each output, f32."""


@dataclass(frozen=True)
class LossRow:
    """One loss.

    Attributes:
        op: the operation that computes it.
        ends_with: the function at the end of a model that the loss has in itself: it is left out of
            the model, whose outputs are then logits. Empty where there is none.
        curvature: its largest curvature by the outputs, from their number.
        has_range: whether a model's own range of its outputs is kept. Where it is not, the last
            layer leaves its s32 accumulators, which have no range to outgrow.
    """

    op: str
    ends_with: str
    curvature: Callable[[int], float]
    has_range: bool = False


LOSSES: Mapping[str, LossRow] = {
    "cross_entropy": LossRow("softmax_cross_entropy", "softmax", lambda n: 0.5, has_range=True),
    "mean_squared_error": LossRow("mean_squared_error", "", lambda n: 2.0 / n),
    "binary_cross_entropy": LossRow("binary_cross_entropy", "sigmoid", lambda n: 0.25 / n),
    "huber": LossRow("huber", "", lambda n: 1.0 / n),
}
"""By name, the default first."""


def suited(ending: str) -> str:
    """The loss for a model whose last function has this name; empty is none."""
    return next((name for name, row in LOSSES.items() if ending and row.ends_with == ending),
                next(iter(LOSSES)))  # fmt: skip


def classes_of(loss: str, shape: Sequence[int]) -> int:
    """Number of classes that a sample is labelled with; 0 where its target is no label.

    Args:
        shape: of the model's output, a batch of one before it.
    """
    outputs = shape[-1]
    if loss == "cross_entropy":
        return outputs
    return 2 if loss == "binary_cross_entropy" and outputs == 1 else 0


def target_of(loss: str, classes: int) -> SampleTarget:
    """What the target of a sample is, from the number of `classes_of`."""
    if classes:
        return SampleTarget.LABEL
    return SampleTarget.SHARES if loss == "binary_cross_entropy" else SampleTarget.VALUES
