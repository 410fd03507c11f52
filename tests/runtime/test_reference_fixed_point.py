"""The primitives against exact rational arithmetic, and against gemmlowp's formulas."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from runtime_cases import Rng

from tinytrain.reference import fixed_point as fp

EDGES = [0, 1, -1, 2, 3, -3, 2**30, -(2**30), 2**31 - 1, -(2**31), 2**29, 12345, -54321]


def toward_zero(numerator: int, denominator: int) -> int:
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def gemmlowp_high_mul(a: int, b: int) -> int:
    """SaturatingRoundingDoublingHighMul, as its definition in C rounds; a and b not both -2^31."""
    nudge = 2**30 if a * b >= 0 else 1 - 2**30
    return toward_zero(a * b + nudge, 2**31)


def gemmlowp_divide(a: int, exponent: int) -> int:
    """RoundingDivideByPOT."""
    mask = 2**exponent - 1
    threshold = (mask >> 1) + (1 if a < 0 else 0)
    return (a >> exponent) + (1 if (a & mask) > threshold else 0)


def test_multiplier_is_the_nearest(rng: Rng) -> None:
    reals = [2.0**-32, 0.5, 1.0, 1 - 2**-40, 2**-31 * (1 + 2**-52), 3.0, 2.0**30 * (1 - 2**-53)]
    for real in [*reals, *np.exp2(rng.uniform(-32, 29, 500)).tolist()]:
        try:
            m, s = fp.multiplier(real)
        except ValueError:
            assert real >= 2.0**30
            continue
        assert 2**30 <= m < 2**31
        unit = Fraction(2) ** (s - 31)
        assert abs(Fraction(real) - m * unit) <= unit / 2
    assert fp.multiplier(2.0**-33) == (0, 0)


@pytest.mark.parametrize("real", [0.0, -1.0, 2.0**30, math.inf, math.nan])
def test_multiplier_refuses(real: float) -> None:
    with pytest.raises(ValueError, match="multiplier"):
        fp.multiplier(real)


def test_requantize_is_that_of_tflite(rng: Rng) -> None:
    mantissas = [0, 2**30, 2**30 + 1, 2**31 - 1, *rng.integers(2**30, 2**31, 20).tolist()]
    values = [*EDGES, *rng.integers(-(2**31), 2**31, 40).tolist()]
    # Products that end in exactly half, where the two roundings of negative numbers differ.
    values += [(2 * k + 1) * 2 ** (s - 1) for k in range(-4, 4) for s in range(1, 12)]
    for shift in [-31, -30, -8, -1, 0, 1, 7, 30]:
        for m in mantissas:
            got = fp.requantize(np.int64(values), m, shift)
            for value, result in zip(values, got.tolist(), strict=True):
                left = min(max(value << max(shift, 0), -(2**31)), 2**31 - 1)
                assert result == gemmlowp_divide(gemmlowp_high_mul(left, m), max(-shift, 0))


def test_requantize_is_near_the_real_product(rng: Rng) -> None:
    for real in np.exp2(rng.uniform(-20, 3, 100)):
        m, s = fp.multiplier(float(real))
        acc = rng.integers(-(2**24), 2**24, 200)
        assert np.max(np.abs(fp.requantize(acc, m, s) - acc * real)) <= 1.0 + 2**-6


@pytest.mark.parametrize(("rounding", "bits"), [(fp.rh, 30), (fp.rh64, 62)])
def test_rh_rounds_to_nearest_a_tie_to_even(rng: Rng, rounding: type(fp.rh), bits: int) -> None:
    top = 2**bits - (bits == 62)
    values = [top, -top, 0, 1, -1, *rng.integers(-top, top, 50).tolist()]
    for shift in [*range(-70, 70)]:
        shifted = [*values, *(k * 2 ** max(shift - 1, 0) for k in (-3, -1, 1, 3))]
        shifted = [v for v in shifted if abs(v) <= top]
        got = rounding(np.int64(shifted), shift)
        for value, result in zip(shifted, got.tolist(), strict=True):
            exact = round(Fraction(value) / Fraction(2) ** shift)  # a tie to even
            assert result == min(max(exact, -(2**31 - 1)), 2**31 - 1)
