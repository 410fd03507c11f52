"""Adam with a second moment for each output channel: docs/arithmetic.md section 6.

Source: Kingma and Ba, "Adam" (ICLR 2015); one second moment for many weights: Zhang et al.,
"Adam-mini" (2024); decay apart from the gradient: Loshchilov and Hutter, "AdamW" (ICLR 2019).
"""

from __future__ import annotations

import math

import numpy as np

F = np.float32
HORIZON = 1000
"""Windows that a second moment is the mean of: its factor beta2 is 1 - 1/1000."""

ROOT_BITS = 8
"""Fractional bits of the root of a second moment of weights."""

EPSILON = 1 << (ROOT_BITS - 1)
"""Added to that root: half a unit of a velocity, which is what rounding leaves of nothing."""

_LARGEST = F(65_535)
_SMALLEST = F(2.0**-40)


def share_of(windows: int) -> np.float32:
    """The share that a new mean square has in a second moment, after `windows` others: of the first
    ones the plain mean is taken, so that no correction of a bias is needed."""
    return F(F(1) / F(min(windows + 1, HORIZON)))


def moved_second(second: np.ndarray, mean: np.ndarray, windows: int) -> np.ndarray:
    """The second moment, float32, with one more mean square in it."""
    result: np.ndarray = second + (mean - second) * share_of(windows)
    return result


def mean_squares(velocity: np.ndarray) -> np.ndarray:
    """Of weights [O,...], int64 and |V| < 2^12, by output channel: float32 [O]."""
    flat = velocity.reshape(velocity.shape[0], -1)
    sums = np.square(flat).sum(axis=1).astype(F)
    result: np.ndarray = sums * inverse(flat.shape[1])
    return result


def mean_square_of_bias(velocity: np.ndarray, units: np.ndarray) -> np.float32:
    """Of a bias [O], |V| <= 2^30, in the unit of its largest channel; `units`: float32 [O]."""
    total = F(0)
    for value, unit in zip(velocity, units, strict=True):
        real = F(F(value) * unit)
        total = F(total + F(real * real))
    return F(total * inverse(len(velocity)))


def inverse(count: int) -> np.float32:
    """1 / count, rounded once."""
    return F(F(1) / F(count))


def root_of_weights(second: np.float32) -> int:
    """The root of a second moment, in units of 2^-ROOT_BITS, epsilon added; second <= 2^24."""
    return math.isqrt(int(second * F(2.0 ** (2 * ROOT_BITS)))) + EPSILON


def root_of_bias(second: np.float32) -> int:
    """The same in whole units; second <= 2^60."""
    return math.isqrt(int(second)) + 1


def gain(rate: float, constant: np.float32, root: int) -> tuple[int, int]:
    """(m, h) with m * 2^-h = rate * constant / root, cut to 16 bits.

    2^15 <= m < 2^16 and 0 <= h <= 55; (0, 0) below 2^-40.
    """
    factor = min(F(F(F(rate) * constant) / F(root)), _LARGEST)
    if not factor >= _SMALLEST:
        return 0, 0
    fraction, exponent = math.frexp(float(factor))
    return int(fraction * 2.0**16), 16 - exponent


def moves(
    velocity: np.ndarray, m: np.ndarray | int, h: np.ndarray | int, r: np.ndarray
) -> np.ndarray:
    """floor(V * m * 2^-h + r * 2^-32), r cut to what h leaves of it; |V| <= 2^30."""
    drawn = np.where(h <= 32, r >> np.maximum(32 - h, 0), r << np.maximum(h - 32, 0))
    result: np.ndarray = (velocity * m + drawn) >> h
    return result
