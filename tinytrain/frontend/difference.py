"""How far an imported tensor may lie from the reference's, and why that far."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.types import Quantization

FLOAT_ERROR = 2.0**-10
"""Largest difference of reals, as a share of the tensor's largest magnitude: float32 sums of
thousands of terms in another order reach a tenth of it."""

OTHER_ROUNDING_ERROR = 2.0**-5
"""The same where the reference rounds what a layer reads to 8 bits, and the graph does not, or the
reverse: half a step of 127 each."""

NARROWED = 10.0
"""Steps of 8 bits that integers of 16 bits may lie apart: what a layer reads was rounded, too."""

JUMPS = 1 / 64
"""Largest share of elements that may lie on the other side of an edge of floor, round or sign."""

STEPS = 2.0
"""Largest difference of integers, in steps: the kernels of a format may round twice."""

MEAN_STEPS = 0.6
"""Largest mean difference of integers: such kernels are off by one here and there."""


def difference(
    ours: np.ndarray, theirs: np.ndarray, apart: float, jumps: bool, other_rounding: bool = False
) -> str | None:
    """What differs, in words; None if nothing does.

    Args:
        ours, theirs: of one shape; integers where ours are s8.
        apart: how far rounding that was left out takes them apart at most.
        jumps: whether the value is a step function of what was summed, so that a sum at an edge may
            come out on either side.
        other_rounding: whether the reference rounds activations otherwise.
    """
    if ours.dtype.kind == "f":
        error = OTHER_ROUNDING_ERROR if other_rounding else FLOAT_ERROR
        return _of_reals(ours.astype(np.float64), theirs.astype(np.float64), error, apart, jumps)
    steps = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    # Of integers that were 16 bits wide the fraction of a step is still there.
    narrowed = NARROWED if theirs.dtype.kind == "f" else 0.0
    if steps.max() <= STEPS + narrowed and steps.mean() <= MEAN_STEPS + narrowed / 4:
        return None
    return f"it differs by up to {steps.max():.0f} steps, {steps.mean():.2g} in the mean"


def _of_reals(a: np.ndarray, b: np.ndarray, share: float, apart: float, jumps: bool) -> str | None:
    unlike = ~(np.isclose(a, b) | (np.isnan(a) & np.isnan(b)))
    if not unlike.any():
        return None
    largest = float(np.abs(b[np.isfinite(b)]).max(initial=0.0))
    error = float(np.abs(a - b)[unlike].max())
    if error <= share * largest + apart:
        return None
    if jumps and unlike.mean() <= JUMPS:
        return None
    return f"it differs by {error:.3g} where the largest number is {largest:.3g}"


def integers_of(theirs: np.ndarray) -> np.ndarray:
    """Integers of the file as s8: u8 is shifted, s16 keeps its upper half."""
    if theirs.dtype == np.uint8:
        return theirs.astype(np.int32) - 128
    return theirs / 256.0 if theirs.dtype == np.int16 else theirs


def requantized_wrongly(ours: np.ndarray, exact: np.ndarray, meaning: Quantization) -> str | None:
    """What is wrong with weights [O, ...] that were quantized again; None if nothing is."""
    rows = np.asarray(meaning.scale, dtype=np.float64).reshape((-1,) + (1,) * (ours.ndim - 1))
    steps = float((np.abs(ours.astype(np.float64) - exact) / rows).max())
    # Half a step, and what the scale lost as a float32.
    if steps <= 0.5 + 2.0**-16:
        return None
    return f"weights that were quantized again moved by {steps:.3g} steps"
