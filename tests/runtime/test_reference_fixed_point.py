"""The primitives against exact rational arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from tests.support.runtime.cases import Rng
from tinytrain.reference import fixed_point as fp

EDGES = [0, 1, -1, 2, 3, -3, 2**30, -(2**30), 2**31 - 1, -(2**31), 2**29, 12345, -54321]


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


def test_requantize_rounds_once_a_tie_up(rng: Rng) -> None:
    mantissas = [0, 2**30, 2**30 + 1, 2**31 - 1, *rng.integers(2**30, 2**31, 20).tolist()]
    values = [*EDGES, *rng.integers(-(2**31), 2**31, 40).tolist()]
    values += [(2 * k + 1) * 2 ** (s - 1) for k in range(-4, 4) for s in range(1, 12)]
    for shift in [-31, -30, -8, -2, -1, 0, 1, 7, 30]:
        for m in mantissas:
            got = fp.requantize(np.int64(values), m, shift)
            for value, result in zip(values, got.tolist(), strict=True):
                real = Fraction(value * m) * Fraction(2) ** (shift - 31)
                exact = math.floor(real + Fraction(1, 2))
                assert result == min(max(exact, -(2**31)), 2**31 - 1)


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
