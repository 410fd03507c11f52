"""Integer factors that stand for real scales inside gradient sums: docs/arithmetic.md section 4.

They are computed once, at compile time, in float64; the device only reads them.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_SUM_BOUND = 2**30


def conv2d_factors(scale: npt.ArrayLike, taps: int, groups: int = 1) -> tuple[np.ndarray, int]:
    """(m, k) of a convolution's dX: int16 [O], m[o] = round(scale[o] * 2**k).

    Args:
        scale: s_w, float [O].
        taps: the most taps that read one input element (KH * KW is always enough; 1 for dense).
        groups: the bound holds for the sum over the output channels of each group.

    k is the largest integer, at most 30, that keeps 0 <= m <= 32767 and every sum within 2**30.
    """
    scales = np.asarray(scale, dtype=np.float64).reshape(groups, -1)
    for k in range(30, -200, -1):
        m = np.rint(scales * 2.0**k)
        worst = taps * 128 * float(np.max(np.sum(m + 1, axis=1)))
        if np.max(m) <= 32767 and worst <= _SUM_BOUND:
            return m.ravel().astype(np.int16), k
    raise ValueError(f"no power of two brings scales up to {np.max(scales)} into the sum's range")


def avg_pool2d_factors(area: int, smallest: int, windows: int) -> tuple[np.ndarray, int]:
    """(m, k) of a mean's dX: int16 [area], m[count - 1] = round(2**k / count).

    Args:
        area: taps of the whole window.
        smallest: the smallest count that occurs; entries of smaller counts are 0 and never read.
        windows: the most windows that read one input element.

    k is the largest for which every m <= 2**14 and every sum stays within 2**30.
    """
    counts = np.arange(1, area + 1, dtype=np.float64)
    for k in range(30, -1, -1):
        m = np.where(counts < smallest, 0.0, np.rint(2.0**k / counts))
        if np.max(m) <= 2**14 and windows * (float(np.max(m)) + 1) <= _SUM_BOUND:
            return m.astype(np.int16), k
    raise ValueError(f"{windows} windows over one element")


def multiply_factor(scale: float) -> tuple[int, int]:
    """(mu, k) with mu = round(scale * 2**k) and 2**14 <= mu < 2**15."""
    fraction, exponent = math.frexp(scale)
    mu = round(fraction * 2.0**15)
    return (2**14, 14 - exponent) if mu == 2**15 else (mu, 15 - exponent)
