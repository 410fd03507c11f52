"""L2 normalisation along the last axis: sections 2 and 4 of docs/arithmetic.md.

x is int8 [..., C], d its distance from its zero point, S the sum of d * d, below 2**31.
"""

from __future__ import annotations

import math

import numpy as np

from tinytrain.reference.gradients import F, is_real, precision
from tinytrain.reference.loss import sequential_sum


def _centred(x: np.ndarray, zero: int) -> tuple[np.ndarray, np.ndarray]:
    """(d, S), int64 [rows, C] and [rows, 1]."""
    d = x.astype(np.int64).reshape(-1, x.shape[-1]) - zero
    return d, np.sum(d * d, axis=1, keepdims=True)


def l2_normalize(x: np.ndarray, zero: int) -> np.ndarray:
    """round(128 * d / sqrt(S)), a tie away from zero, at most 127; 0 where S is 0."""
    d, squares = _centred(x, zero)
    quotient = (d * d << 16) // np.maximum(squares, 1)
    # At most 2**16: the root in float64 is exact where it is whole, and below it elsewhere.
    magnitude = (np.sqrt(quotient.astype(np.float64)).astype(np.int64) + 1) >> 1
    result: np.ndarray = np.minimum(np.sign(d) * magnitude, 127).astype(np.int8)
    return result.reshape(x.shape)


def inverse_square(scale: float) -> tuple[int, int]:
    """(A, k) with A = round(4**k / scale**2) and 2**60 <= A < 2**62."""
    fraction, exponent = math.frexp(1.0 / scale)
    # 1/scale = fraction * 2**exponent with 1/2 <= fraction < 1: A is (fraction * 2**31)**2.
    return min(round((fraction * 2.0**31) ** 2), 2**62 - 1), 31 - exponent


def l2_normalize_grad(
    g: np.ndarray, x: np.ndarray, zero: int, inverse: int, scale: float
) -> np.ndarray:
    """Sums of dX = (g - y * (y . g)) / |x|, for `rescale64` with shift 22 - p + k.

    Args:
        g: the gradient, int8, int16 or float32.
        x: the input of the operation, int8, of the shape of g.
        zero: its zero point.
        inverse: A of `inverse_square`, for integer gradients.
        scale: of x, for float32 gradients.
    """
    d, squares = _centred(x, zero)
    rows = g.reshape(d.shape)
    result = _real(rows, d, squares, scale) if is_real(g) else _whole(rows, d, squares, inverse)
    return np.where(squares > 0, result, result.dtype.type(0)).reshape(g.shape)


def _whole(g: np.ndarray, d: np.ndarray, squares: np.ndarray, inverse: int) -> np.ndarray:
    up = 30 - precision(g.dtype)
    wide = g.astype(np.int64)
    divisor = np.maximum(squares, 1)
    dot = np.sum(d * wide, axis=1, keepdims=True) << up
    part = np.sign(dot) * ((np.abs(dot) + (divisor >> 1)) // divisor)
    across = ((wide << up) - d * part + 128) >> 8
    factors = [[math.isqrt(inverse // int(total))] for total in divisor[:, 0]]
    return np.asarray(across * np.array(factors, np.int64))


def _real(g: np.ndarray, d: np.ndarray, squares: np.ndarray, scale: float) -> np.ndarray:
    divisor = np.maximum(squares, 1)
    length, real = divisor.astype(F), d.astype(F)
    part = np.array([sequential_sum(row.reshape(-1, 1)) for row in real * g]) / length
    roots = np.array([[math.isqrt(2**62 // int(s))] for s in divisor[:, 0]], np.uint32)
    root = roots.astype(F) * F(2.0**-31)
    root = root * (F(1.5) - ((F(0.5) * length) * root) * root)
    return np.asarray((g - real * part) * (root * F(1.0 / scale)))
