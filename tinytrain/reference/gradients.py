"""What all gradients share: docs/arithmetic.md section 4.

A gradient is int8, int16 or float32 (the dtype of the array says which of the three arithmetics
applies); maps are [1,H,W,C]. A function that sums returns the sums: int64 for integer gradients,
to be rounded by `rescale`, and the float32 gradient itself otherwise. `factors` are per output
channel: integers m for integer gradients, the real float32 factors otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tinytrain.reference.fixed_point import rh, rh64

F = np.float32


def limit(dtype: npt.DTypeLike) -> int:
    """L, the largest magnitude of an integer gradient."""
    return int(np.iinfo(np.dtype(dtype)).max)


def precision(dtype: npt.DTypeLike) -> int:
    """p, the bits of magnitude of an integer gradient: 7 or 15."""
    return int(np.iinfo(np.dtype(dtype)).bits) - 1


def is_real(g: np.ndarray) -> bool:
    """Whether the gradient is float32, so that nothing is rounded to integers."""
    return bool(g.dtype == np.float32)


def quantize_gradient(g: np.ndarray, dtype: npt.DTypeLike) -> tuple[np.ndarray, int, bool]:
    """The loss gradient, float32, as integers with E = 0.

    Returns:
        (G, n, active): real = G * 2**n; active is False when every entry is 0. For float32 G is a
        copy and n is 0. A NaN counts as 0.
    """
    values = np.where(np.isnan(g), F(0), g.astype(F))
    largest = float(np.max(np.abs(values)))
    active = largest > 0
    if np.dtype(dtype) == np.float32:
        return g.astype(F), 0, active
    if not active:
        return np.zeros(g.shape, dtype=dtype), 0, False
    k = 129 if math.isinf(largest) else math.frexp(largest)[1]
    n = max(k - precision(dtype), -120)
    top = limit(dtype)
    with np.errstate(over="ignore"):
        magnitude = np.minimum(np.ldexp(np.abs(values).astype(np.float64), -n), top + 1)
    rounded = np.minimum(np.floor(magnitude + 0.5), top)
    return (np.sign(values) * rounded).astype(dtype), n, True


def rescale(
    sums: np.ndarray, shift: int, input_exponent: int, output_exponent: int, dtype: npt.DTypeLike
) -> tuple[np.ndarray, int]:
    """(G, peak) for |sums| <= 2**30, shift = c: r = rh(sums, c + E_out - E_in) clamped to +-L, and
    the largest |r|."""
    return _clamp(rh(sums, shift + output_exponent - input_exponent), dtype)


def rescale64(
    sums: np.ndarray, shift: int, input_exponent: int, output_exponent: int, dtype: npt.DTypeLike
) -> tuple[np.ndarray, int]:
    """`rescale` by rh64, for |sums| < 2**62."""
    return _clamp(rh64(sums, shift + output_exponent - input_exponent), dtype)


def _clamp(rounded: np.ndarray, dtype: npt.DTypeLike) -> tuple[np.ndarray, int]:
    top = limit(dtype)
    peak = int(np.max(np.abs(rounded), initial=0))
    return np.clip(rounded, -top, top).astype(dtype), peak


def pre(g: np.ndarray, factor: npt.ArrayLike) -> np.ndarray:
    """(G * m + 2**(p - 1)) >> p, int64, 0 <= m <= 32767; for float32 gradients G * f32(factor)."""
    if is_real(g):
        return g * np.asarray(factor, dtype=F)
    p = precision(g.dtype)
    return (g.astype(np.int64) * np.asarray(factor, dtype=np.int64) + (1 << (p - 1))) >> p


def sum_shift(positions: int, dtype: npt.DTypeLike) -> int:
    """q of a weight gradient: the smallest shift that brings positions * 255 * L below 2**31."""
    largest = positions * 255 * limit(dtype)
    return max((largest >> 31).bit_length(), 0)
