"""Fixed-point primitives: docs/arithmetic.md section 1.

Arrays may have any integer dtype and any shape; results are int64 unless a docstring says
otherwise. Scalars stand for arrays of one element.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

S32_MAX = 2**31 - 1


def multiplier(real: float) -> tuple[int, int]:
    """(M, S) with real ~ M * 2**(S - 31), 2**30 <= M < 2**31, M rounded half away from zero.

    A factor below 2**-32 gives (0, 0): it moves no s32 value by half a unit.

    Raises:
        ValueError: `real` is not positive and finite, or is 2**30 or more.
    """
    if not 0.0 < real < 2.0**30:
        raise ValueError(f"a multiplier is between 0 and 2**30, not {real}")
    if real < 2.0**-32:
        return 0, 0
    fraction, exponent = math.frexp(real)
    mantissa = math.floor(fraction * 2.0**31 + 0.5)
    if mantissa == 2**31:
        return 2**30, exponent + 1
    return mantissa, exponent


def multipliers(reals: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """`multiplier` of each entry: int32 M and int8 S of the shape of `reals`."""
    array = np.asarray(reals, dtype=np.float64)
    pairs = [multiplier(float(real)) for real in array.ravel()]
    mantissas = np.array([pair[0] for pair in pairs], dtype=np.int32).reshape(array.shape)
    shifts = np.array([pair[1] for pair in pairs], dtype=np.int8).reshape(array.shape)
    return mantissas, shifts


def requantizers(reals: npt.ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) for `requantize`: int32 M in [0, 2**31) and int8 S of the shape of `reals`.

    Below 1/2, where nearly all factors lie, S is -1: the result is the rounded high word of the
    product, which is one instruction on most cores. M is off by 1/2 at most, which moves the
    result by less than 1/4 for the largest sum that there is, and by nothing to speak of for one
    that an s8 can hold. Any other factor is as `multiplier` says.

    Raises:
        ValueError: as `multiplier`.
    """
    array = np.asarray(reals, dtype=np.float64)
    mantissas, shifts = multipliers(array)
    high = np.floor(array * 2.0**32 + 0.5)
    plain = (array > 0.0) & (high < 2.0**31)
    mantissas = np.where(plain, high, mantissas).astype(np.int32)
    return mantissas, np.where(plain, -1, shifts).astype(np.int8)


def saturate(values: np.ndarray, bits: int) -> np.ndarray:
    """Values clamped to the two's-complement range of `bits` bits; the dtype stays."""
    result: np.ndarray = np.clip(values, -(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    return result


def requantize(acc: npt.ArrayLike, mantissa: npt.ArrayLike, shift: npt.ArrayLike) -> np.ndarray:
    """acc * M * 2**(S - 31), a tie rounded up, saturated at 32 bits; |acc| < 2**31.

    `mantissa` (M) and `shift` (S, in [-31, 30]) broadcast against `acc`. This is TFLite's
    MultiplyByQuantizedMultiplier with single rounding.
    """
    places = 31 - np.asarray(shift, dtype=np.int64)
    product = np.asarray(acc, dtype=np.int64) * np.asarray(mantissa, dtype=np.int64)
    return saturate((product + (np.int64(1) << (places - 1))) >> places, 32)


def rh(values: npt.ArrayLike, shift: int) -> np.ndarray:
    """values / 2**shift, a tie rounded to even; |values| <= 2**30. Saturates at +-(2**31 - 1)."""
    value = np.asarray(values, dtype=np.int64)
    if shift <= 0:
        return _shift_left(value, -shift)
    if shift > 30:
        return np.zeros_like(value)
    return (value + ((1 << (shift - 1)) - 1) + ((value >> shift) & 1)) >> shift


def rh64(values: npt.ArrayLike, shift: int) -> np.ndarray:
    """`rh` for |values| < 2**62; the result saturates at +-(2**31 - 1) for every shift."""
    value = np.asarray(values, dtype=np.int64)
    if shift <= 0:
        return _shift_left(value, -shift)
    if shift > 62:
        return np.zeros_like(value)
    half = (1 << (shift - 1)) - 1 + ((value >> shift) & 1)
    result: np.ndarray = np.clip((value + half) >> shift, -S32_MAX, S32_MAX)
    return result


def _shift_left(value: np.ndarray, count: int) -> np.ndarray:
    # Anything but 0 saturates after 31 places, so that more of them change nothing; cutting the
    # operand at 2**31 first keeps the product below 2**62.
    cut = np.clip(value, -(2**31), 2**31)
    result: np.ndarray = np.clip(cut << min(count, 31), -S32_MAX, S32_MAX)
    return result


def store(values: np.ndarray, zero: int, clamp: tuple[int, int]) -> np.ndarray:
    """int8 at a zero point, held within clamp = (lowest, highest)."""
    result: np.ndarray = np.clip(values + zero, clamp[0], clamp[1]).astype(np.int8)
    return result
