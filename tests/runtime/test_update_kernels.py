"""Sums and updates at the ends of their ranges."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.runtime.cases import Rng, deltas, same
from tests.support.runtime.kernels import Kernels
from tests.support.runtime.memory import Update
from tinytrain.reference import convolution, gradients, health, update

RATE = 0.75  # L_r = 3 * 2^29, e_r = 0


def at_shift(h: int, outputs: int, q: int = 0, **options: object) -> Update:
    """An update of bias or weight channels whose h is as given."""
    shift = int(np.clip(31 - h, -31, 31))
    rest = 31 - shift - h - q  # what E + n must come to
    exponent = int(np.clip(rest, -60, 60))
    step = update.StepState(RATE, rest - exponent, seed=12345, count=2**32 - 1)
    return Update(
        step,
        multiplier=np.full(outputs, 2**31 - 1, np.int32),
        shift=np.full(outputs, shift, np.int8),
        exponent=exponent,
        q=q,
        **options,
    )


@pytest.mark.parametrize("is_random", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_every_shift(kernels: Kernels, rng: Rng, dtype: type, is_random: bool) -> None:
    top = np.iinfo(dtype).max
    rows = np.array([top, -top, 1, -1, 0, *rng.integers(-top, top, 20)]).astype(dtype)
    for positions in (1, 300):
        g = np.ascontiguousarray(np.broadcast_to(rows, (1, positions, 1, rows.size)))
        sums = convolution.bias_grad(g)
        for h in range(-90, 91):
            rule = at_shift(h, rows.size, index=h + 90, is_random=is_random)
            assert update.update_shift(rule.shift, rule.of, rule.exponent, 0)[0] == h
            for start in (0, 2**30, -(2**30)):
                bias = np.full(rows.size, start, np.int32)
                expected = update.apply_bias(bias, deltas(sums, rule))
                same(kernels.bias_grad(g, rule, bias), expected)


@pytest.mark.parametrize("sign", [1, -1])
def test_bias_sum_at_its_bound(kernels: Kernels, sign: int) -> None:
    g = np.full((1, 256, 256, 1), sign * 32767, np.int16)
    sums = convolution.bias_grad(g)
    assert abs(int(sums[0])) == 2**31 - 65536
    for h in (31, 40, 62):
        rule = at_shift(h, 1)
        bias = np.zeros(1, np.int32)
        same(kernels.bias_grad(g, rule, bias), update.apply_bias(bias, deltas(sums, rule)))


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_weight_sum_at_its_bound(kernels: Kernels, dtype: type, depthwise: bool) -> None:
    height, width = 257, 258  # 66,306 positions; the contract allows 66,311
    top = np.iinfo(dtype).max
    g = np.full((1, height, width, 1), -top, dtype)
    x = np.full((1, height, width, 1), 127, np.int8)
    sums = convolution.conv2d_grad_weight(x, g, -128, (1, 1))
    assert int(sums[0, 0, 0, 0]) == -255 * top * height * width
    q = gradients.sum_shift(height * width, dtype)
    assert (q == 0) == (dtype is np.int8)
    for bits in (0, 8):
        rule = at_shift(57 - bits // 2, 1, q, bits=bits)
        w = np.int8([[[[3]]]])
        fraction = np.uint8([0x80]) if bits else None
        expected = update.apply_weights(w, fraction, bits, deltas(sums, rule))
        actual = kernels.conv2d_grad_weight(x, g, -128, rule, w, fraction, depthwise=depthwise)
        same(actual[0], expected[0])
        assert -128 < int(actual[0].ravel()[0]) < 127, "a saturated weight would prove nothing"


@pytest.mark.parametrize("bits", [0, 2, 4, 8])
def test_saturation_of_weights(kernels: Kernels, bits: int) -> None:
    w = np.repeat(np.int8([-128, -128, 0, 127, 127]), 3).reshape(15, 1, 1, 1)
    g = np.tile(np.int8([127, -127, 1]), 5).reshape(1, 1, 1, 15)
    x = np.full((1, 1, 1, 1), 127, np.int8)
    sums = convolution.conv2d_grad_weight(x, g, 0, (1, 1))
    fraction = None
    for low in ([0] * 15, [2**bits >> 1] * 15, [max((2**bits >> 1) - 1, 0)] * 15):
        if bits:
            fraction = update.pack_fraction(np.array(low), bits)
        for h in (0, 20, 31, 38, 44):
            rule = at_shift(h, 15, bits=bits)
            expected = update.apply_weights(w, fraction, bits, deltas(sums, rule))
            actual = kernels.conv2d_grad_weight(x, g, 0, rule, w, fraction)
            same(actual[0], expected[0])
            if bits:
                same(actual[1], expected[1])


def test_float_updates_that_are_not_finite_change_nothing(kernels: Kernels) -> None:
    """The last two are finite and saturate."""
    g = np.float32([0.0, 3e38, -3e38, 1.0, 1e30, -1e30]).reshape(1, 1, 1, 6)
    bias = np.int32([5, 5, 5, 5, 5, 5])
    rule = Update(update.StepState(1024.0), real=np.float32([np.inf, 1.0, 1.0, np.nan, 1.0, 1.0]))
    with np.errstate(invalid="ignore"):
        expected = update.apply_bias(bias, deltas(convolution.bias_grad(g), rule))
    assert expected.tolist() == [5, 5, 5, 5, 5 - 2**30, 2**30]
    same(kernels.bias_grad(g, rule, bias), expected)


@pytest.mark.parametrize("bits", [0, 2, 4, 8])
def test_weights_at_an_end(kernels: Kernels, rng: Rng, bits: int) -> None:
    half = 2**bits >> 1
    w = rng.choice(np.int8([-128, -127, 0, 126, 127]), 1001)
    low = rng.choice([-half, -half + 1, 0, max(half - 1, 0)], w.size) if bits else np.zeros(w.size)
    fraction = update.pack_fraction(low.astype(np.int64), bits) if bits else None
    top = (w == 127) & (low == max(half - 1, 0))
    expected = int(np.count_nonzero(top | ((w == -128) & (low == -half))))
    assert health.count_ends(w, fraction, bits) == expected > 0
    assert kernels.count_ends(w, fraction, bits) == expected


def test_biases_at_an_end(kernels: Kernels) -> None:
    bias = np.int32([2**30, -(2**30), 2**30 - 1, 1 - 2**30, 0])
    assert health.count_ends(bias, None, 0) == kernels.count_ends(bias, None, 0) == 2
