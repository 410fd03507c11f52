"""What training can minimize: a row for each loss, and what each has to know of a sample."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

AUTO = "auto"
"""Stands for the loss that suits the end of a model: `suited` says which."""


class SampleTarget(enum.Enum):
    """What the target of one sample is."""

    LABEL = "label"
    """Its class, an s32. The model gives an output for each class, or one for two classes."""
    PIXELS = "pixels"
    """The class of each pixel, u8, row by row. The model gives a map of outputs for each class."""
    SHARES = "shares"
    """From 0 to 1 for each output, f32: whether a label applies."""
    VALUES = "values"
    """Any finite number for each output, f32."""

    @property
    def words(self) -> str:
        """What the target of a sample is, in a sentence."""
        return {
            "label": "a class",
            "pixels": "a class for each pixel",
            "shares": "several labels at once",
            "values": "numbers",
        }[self.value]


MOST_PIXEL_CLASSES = 256
"""As a u8 counts them."""


@dataclass(frozen=True)
class LossRow:
    """One loss.

    Attributes:
        ops: the operations that compute it, by the target that it is for.
        ends_with: the function at the end of a model that the loss has in itself: it is left out of
            the model, whose outputs are then logits. Empty where there is none.
        curvature: its largest curvature by the outputs, from the number of terms that it is the
            mean of.
        keeps_range: for which targets a model's own range of its outputs is kept. Where it is not,
            the last layer leaves its s32 accumulators, which have no range to outgrow.
    """

    ops: Mapping[SampleTarget, str]
    ends_with: str
    curvature: Callable[[int], float]
    keeps_range: frozenset[SampleTarget] = frozenset()


LOSSES: Mapping[str, LossRow] = {
    "cross_entropy": LossRow(
        {
            SampleTarget.LABEL: "softmax_cross_entropy",
            SampleTarget.PIXELS: "pixel_cross_entropy",
        },
        "softmax",
        lambda terms: 0.5 / terms,
        keeps_range=frozenset({SampleTarget.LABEL}),
    ),
    "mean_squared_error": LossRow(
        {SampleTarget.VALUES: "mean_squared_error"}, "", lambda terms: 2.0 / terms
    ),
    "binary_cross_entropy": LossRow(
        {
            SampleTarget.LABEL: "binary_cross_entropy",
            SampleTarget.SHARES: "binary_cross_entropy",
        },
        "sigmoid",
        lambda terms: 0.25 / terms,
    ),
    "huber": LossRow({SampleTarget.VALUES: "huber"}, "", lambda terms: 1.0 / terms),
}
"""By name, the default first."""


def suited(ending: str) -> str:
    """The loss for a model whose last function has this name; empty is none."""
    return next(
        (name for name, row in LOSSES.items() if ending and row.ends_with == ending),
        next(iter(LOSSES)),
    )


def target_of(loss: str, outputs: int, channels: int) -> SampleTarget:
    """What the target of a sample is.

    Args:
        outputs: elements of the model's output.
        channels: of them at each place of a map; as many as outputs where the output is a vector.
    """
    if loss == "cross_entropy":
        return SampleTarget.LABEL if outputs == channels else SampleTarget.PIXELS
    if loss == "binary_cross_entropy":
        return SampleTarget.LABEL if outputs == 1 else SampleTarget.SHARES
    return SampleTarget.VALUES


def classes_of(target: SampleTarget, outputs: int) -> int:
    """Number of classes that a sample is labelled with; 0 where its target is no label."""
    return max(2, outputs) if target is SampleTarget.LABEL else 0
