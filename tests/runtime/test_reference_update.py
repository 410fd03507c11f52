"""The twins of update and loss against real-number SGD, a plain recurrence, and float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from tests.support.runtime.cases import Rng
from tinytrain.reference import loss, update
from tinytrain.reference.fixed_point import multiplier


def test_random_numbers_are_the_recurrence() -> None:
    mask = 2**32 - 1

    def mix(x: int) -> int:
        for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
            x = ((x ^ (x >> shift)) * factor) & mask
        return x ^ (x >> 16)

    for seed, count, index in ((0, 0, 0), (1, 2, 3), (mask, mask, 999)):
        x = mix((mix(seed ^ (count * 0x9E3779B9 & mask)) + index * 0x85EBCA6B) & mask)
        numbers = update.random_numbers(seed, count, index, 1000).tolist()
        for number in numbers:
            x = (x * 1664525 + 1013904223) & mask
            assert number == x


def test_random_numbers_are_spread(rng: Rng) -> None:
    numbers = np.concatenate(
        [update.random_numbers(7, t, u, 500) for t in range(20) for u in range(4)]
    )
    share = np.bincount(numbers >> 28, minlength=16) / numbers.size
    assert np.max(np.abs(share - 1 / 16)) < 0.006


def real_update(rule: dict) -> float:
    """Learning rate times real gradient over the size of a weight's last bit."""
    return rule["rate"] * rule["ratio"] * rule["sum"] * 2.0 ** (rule["exponent"] + rule["n"])


def random_rule(rng: Rng) -> dict:
    rule = {
        "rate": float(np.float32(np.exp2(rng.uniform(-12, 2)))),
        "ratio": float(np.exp2(rng.uniform(-10, 10))),
        "sum": int(rng.integers(-(2**24), 2**24)),
        "exponent": int(rng.integers(-20, 5)),
        "n": 0,
    }
    size = math.frexp(real_update(rule))[1]
    rule["n"] = int(rng.integers(-3, 9)) - size
    return rule


def apply_rule(rule: dict, r: np.ndarray) -> np.ndarray:
    m, s = multiplier(rule["ratio"])
    step = update.StepState(rule["rate"], rule["n"])
    sums = np.full((1, r.size), rule["sum"], np.int64)
    return update.deltas(sums, m, s, step, rule["exponent"], 0, r.reshape(1, -1))[0]


def test_nearest_update_is_the_rounded_real_one(rng: Rng) -> None:
    for _ in range(300):
        rule = random_rule(rng)
        got = apply_rule(rule, np.int64([update.NEAREST]))[0]
        assert abs(got - real_update(rule)) <= 0.5 + 1e-5


def test_stochastic_update_has_no_bias(rng: Rng) -> None:
    # r in the middle of 4096 equal parts of its range: the mean over all r, within half a part.
    r = np.arange(4096, dtype=np.int64) * 2**20 + 2**19
    for _ in range(100):
        rule = random_rule(rng)
        got = apply_rule(rule, r)
        real = real_update(rule)
        assert abs(np.mean(got) - real) <= 1 / 4096 + 2**-5 + abs(real) * 2**-28
        assert set(np.unique(got)) <= {math.floor(real), math.floor(real) + 1, math.ceil(real) - 1}


def test_float_update_is_near_and_unbiased(rng: Rng) -> None:
    r = np.arange(4096, dtype=np.int64) * 2**20 + 2**19
    for _ in range(100):
        rule = random_rule(rng)
        ratio = np.float32([rule["ratio"] * 2.0 ** (rule["exponent"] + rule["n"])])
        sums = np.full((1, r.size), rule["sum"], np.float32)
        got = update.deltas_f32(sums, ratio, update.StepState(rule["rate"]), r.reshape(1, -1))
        real = real_update(rule)
        assert abs(np.mean(got) - real) <= 1 / 2048 + abs(real) * 2**-20


def test_updates_far_off_vanish_or_saturate() -> None:
    one = np.int64([[5, -5, 0]])
    r = np.full((1, 3), update.NEAREST, np.int64)
    far = update.deltas(one, 2**30, 31, update.StepState(1024.0, 122), 60, 0, r)
    assert far.tolist() == [[2**31 - 1, -(2**31), 0]]
    near = update.deltas(one, 2**30, -31, update.StepState(1e-30, -120), -60, 0, r)
    assert near.tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_fraction_packs_and_unpacks(rng: Rng, bits: int) -> None:
    half = 2 ** (bits - 1)
    for size in range(1, 20):
        low = rng.integers(-half, half, size)
        packed = update.pack_fraction(low, bits)
        assert packed.size == -(-size * bits // 8)
        assert np.array_equal(update.unpack_fraction(packed, bits, size), low)
    assert update.pack_fraction(np.array([1, -1]), 4).tolist() == [0xF1], "least significant first"


@pytest.mark.parametrize("bits", [0, 2, 4, 8])
def test_apply_weights_is_fixed_point(rng: Rng, bits: int) -> None:
    unit = 2.0**-bits
    hi = rng.integers(-128, 128, (50, 3)).astype(np.int8)
    low = rng.integers(-(2**bits >> 1), 2**bits >> 1, hi.shape) if bits else np.zeros(hi.shape, int)
    fraction = update.pack_fraction(low, bits) if bits else None
    d = rng.integers(-50 << bits, 51 << bits, hi.shape)
    new, packed = update.apply_weights(hi, fraction, bits, d)
    kept = update.unpack_fraction(packed, bits, hi.size) if bits else np.zeros(hi.size)
    value = new + kept.reshape(hi.shape) * unit
    wanted = hi + (low - d) * unit
    top = 127 + 0.5 - unit if bits else 127
    bottom = -128 - 0.5 if bits else -128
    assert np.array_equal(value, np.clip(wanted, bottom, top))


def test_apply_bias_saturates() -> None:
    d = np.int64([5, -(2**61), 2**61])
    assert update.apply_bias(np.int32([1, 2, 3]), d).tolist() == [-4, 2**30, -(2**30)]


@pytest.mark.parametrize("limit", [127, 32767])
def test_scales_follow_the_maximum(limit: int) -> None:
    real_peak = 3.7e-4
    exponent, running = 0, limit << 8
    for _ in range(1200):
        peak = math.floor(real_peak / 2.0**exponent + 0.5)
        exponent, running = update.scales_end(exponent, running, peak, limit)
    # The peak fits without saturation, and uses at least half of the range.
    assert limit / 2 * 0.98 < real_peak / 2.0**exponent <= limit * 1.01
    settled = exponent
    for _ in range(450):
        exponent, running = update.scales_end(exponent, running, 0, limit)
    # 0.5 after ln(2) * 64 = 44 steps.
    assert settled - 11 <= exponent <= settled - 9
    before = exponent
    exponent, running = update.scales_end(exponent, running, limit * 64, limit)
    assert exponent >= before + 5, "a larger gradient is followed at once"
    assert limit << 7 < running <= limit << 8


def test_rate_parts() -> None:
    for rate in (1.0, 0.1, 1024.0, 2.0**-126):
        mantissa, exponent = update.rate_parts(rate)
        assert mantissa * 2.0 ** (exponent - 31) == np.float32(rate)
        assert 2**30 <= mantissa < 2**31
    assert update.rate_parts(1e-39) == (0, update.NO_RATE_EXPONENT)
    for bad in (-1.0, math.nan, math.inf, 1025.0):
        with pytest.raises(ValueError, match="learning rate"):
            update.rate_parts(bad)


def test_exp_and_log_are_within_two_units(rng: Rng) -> None:
    x = -rng.uniform(0, 87, 100_000).astype(np.float32)
    exact = np.exp(x.astype(np.float64))
    assert np.max(np.abs(loss.exp(x) - exact) / np.spacing(exact.astype(np.float32))) < 2
    y = np.exp2(rng.uniform(0, 24, 100_000)).astype(np.float32)
    exact = np.log(np.maximum(y, np.float32(1)).astype(np.float64))
    got = loss.log(np.maximum(y, np.float32(1)))
    assert np.max(np.abs(got - exact) / np.spacing(exact.astype(np.float32))) < 2
    assert loss.exp(np.float32([0.0, -87.5])).tolist() == [1.0, 0.0]
    assert loss.log(np.float32([1.0])).tolist() == [0.0]


def test_softmax_cross_entropy(rng: Rng) -> None:
    for spread in (1.0, 20.0):
        logits = (rng.normal(size=12) * spread).astype(np.float32)
        powers = np.exp(logits.astype(np.float64) - np.max(logits))
        share = powers / powers.sum()
        value, gradient = loss.softmax_cross_entropy(logits, 4)
        assert value == pytest.approx(-math.log(share[4]), rel=1e-5, abs=1e-6)
        assert np.allclose(gradient, share - np.eye(12)[4], atol=1e-6)


def test_smoothed_cross_entropy(rng: Rng) -> None:
    for spread, smoothing in ((1.0, 0.1), (20.0, 0.5)):
        logits = (rng.normal(size=12) * spread).astype(np.float32)
        powers = np.exp(logits.astype(np.float64) - np.max(logits))
        share = powers / powers.sum()
        target = (1 - smoothing) * np.eye(12)[4] + smoothing / 12
        value, gradient = loss.smoothed_cross_entropy(logits, 4, smoothing)
        assert value == pytest.approx(-np.sum(target * np.log(share)), rel=1e-5)
        assert np.allclose(gradient, share - target, atol=1e-6)


@pytest.mark.parametrize("spread", [1e-3, 1.0, 30.0, 1000.0])
def test_losses_of_each_output_are_those_of_pytorch(rng: Rng, spread: float) -> None:
    given = (rng.normal(size=40) * spread).astype(np.float32)
    shares = rng.uniform(size=40).astype(np.float32).round(1)
    functions = {
        loss.binary_cross_entropy: functional.binary_cross_entropy_with_logits,
        loss.huber: functional.huber_loss,
    }
    for ours, theirs in functions.items():
        output = torch.tensor(given, dtype=torch.float64, requires_grad=True)
        wanted = theirs(output, torch.tensor(shares, dtype=torch.float64))
        wanted.backward()
        value, gradient = ours(given, shares)
        assert value == pytest.approx(wanted.item(), rel=1e-5)
        assert np.allclose(gradient, output.grad.numpy(), atol=1e-7)


def test_mean_squared_error(rng: Rng) -> None:
    output, target = rng.normal(size=(2, 1, 30)).astype(np.float32)
    value, gradient = loss.mean_squared_error(output, target)
    assert value == pytest.approx(np.mean((output.astype(float) - target) ** 2), rel=1e-5)
    assert np.allclose(gradient, 2 * (output - target) / 30, rtol=1e-6)
    assert gradient.shape == output.shape
