"""Health counters: `tinytrain.h` holds them in C, docs/training.md says what to make of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.graph import Value
from tinytrain.ir.trained import TrainedTensor
from tinytrain.reference.class_health import ClassCounts
from tinytrain.reference.update import whole

HEALTH_STEPS = 64
"""Steps from one whose updates are counted to the next; the first step of all is one."""

_WORD_MAX = 2**32 - 1
_HALF_MAX = 2**16 - 1


@dataclass
class GradientHealth:
    """Of the gradient of one tensor, in steps.

    Attributes:
        saturated: some element was beyond what the scale holds, and was cut there.
        rises, falls: its exponent rose or fell; both stay at 65,535.
    """

    saturated: int = 0
    rises: int = 0
    falls: int = 0

    def count(self, peak: int, limit: int, before: int, after: int) -> None:
        """An active step whose largest rounded entry was `peak`; E before and after it."""
        self.saturated = min(self.saturated + (peak > limit), _WORD_MAX)
        self.rises = min(self.rises + (after > before), _HALF_MAX)
        self.falls = min(self.falls + (after < before), _HALF_MAX)


@dataclass
class UpdateHealth:
    """Of the updates of one trained tensor, in steps whose number is a multiple of 64.

    Attributes:
        seen: elements with a gradient other than 0; from 2**31 on, a step halves both first.
        lost: of these, elements whose update was rounded to 0.
    """

    seen: int = 0
    lost: int = 0

    def count(self, sums: np.ndarray, d: np.ndarray) -> None:
        """A step: the sums of the gradient, and D of the same shape."""
        if self.seen >= 2**31:
            self.seen, self.lost = self.seen >> 1, self.lost >> 1
        self.seen += int(np.count_nonzero(sums))
        self.lost += int(np.count_nonzero((sums != 0) & (d == 0)))


@dataclass
class InputHealth:
    """Of the inputs that were quantized on the device.

    Attributes:
        seen: elements; from 2**31 on, a call halves both first.
        clipped: of these, elements outside the range of s8, or NaN.
    """

    seen: int = 0
    clipped: int = 0

    def count(self, x: np.ndarray, scale: float, zero: int) -> None:
        """A call on a sample, float32."""
        if self.seen >= 2**31:
            self.seen, self.clipped = self.seen >> 1, self.clipped >> 1
        with np.errstate(over="ignore"):
            wide = np.rint(x / np.float32(scale)) + np.float32(zero)
        self.seen += x.size
        # What NaN is compared with is not between the ends.
        self.clipped += int(np.count_nonzero(~((wide >= -128) & (wide <= 127))))


@dataclass
class Health:
    """All counters of a model.

    Attributes:
        steps: of training, skipped ones too.
        skipped: steps that changed nothing, as the loss was NaN or infinite.
        gradients: in the order of `machine.scale_names`.
        updates: in the order of `trained_tensors`.
        at_end: for each trained tensor, how many elements stand at an end of their range.
        classes: of each class; empty where none are counted.
        absent_after: steps without a class after which it fades, at the rate of the next step.
        taken, left: samples without labels that were trained on, and those that were left alone.
    """

    steps: int = 0
    skipped: int = 0
    gradients: list[GradientHealth] = field(default_factory=list)
    updates: list[UpdateHealth] = field(default_factory=list)
    at_end: list[int] = field(default_factory=list)
    classes: list[ClassCounts] = field(default_factory=list)
    absent_after: int = 0
    taken: int = 0
    left: int = 0


def count_ends(data: np.ndarray, fraction: np.ndarray | None, bits: int) -> int:
    """How many elements stand at an end of their range.

    Args:
        data: weights int8, of which the largest and the smallest Wq count, or a bias int32, of
            which +-2**30 do.
        fraction, bits: packed fractional bits of weights, and how many a weight has.
    """
    if data.dtype == np.int32:
        return int(np.count_nonzero(np.abs(data.astype(np.int64)) == 2**30))
    half = 2**bits >> 1
    ends = -(128 << bits) - half, (127 << bits) + max(half - 1, 0)
    return int(np.count_nonzero(np.isin(whole(data, fraction, bits), ends)))


def ends_of(tensor: TrainedTensor, values: Mapping[Value, np.ndarray]) -> int:
    """`count_ends` of a trained tensor."""
    fraction = None if tensor.fraction is None else values[tensor.fraction]
    return count_ends(values[tensor.parameter], fraction, tensor.bits)
