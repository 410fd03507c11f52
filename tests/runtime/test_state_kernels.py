"""Loss, learning rate, scales and checksum against their twins, to the bit."""

from __future__ import annotations

import ctypes as c
import zlib

import numpy as np
import pytest

from tests.support.runtime import memory
from tests.support.runtime.cases import Rng, same
from tests.support.runtime.kernels import Kernels
from tinytrain.reference import class_weights, loss, update
from tinytrain.reference.health import GradientHealth
from tinytrain.reference.machine import Scale


def test_exp(kernels: Kernels, rng: Rng) -> None:
    edges = np.float32([0.0, -0.0, -87.0, np.nextafter(np.float32(-87), np.float32(-88)), -1e30])
    x = np.concatenate([edges, -rng.uniform(0, 90, 3000), -np.exp2(rng.uniform(-140, 6, 3000))])
    x = x.astype(np.float32)
    same(kernels.exp(x), loss.exp(x))


def test_log(kernels: Kernels, rng: Rng) -> None:
    powers = np.exp2(np.arange(0, 24))
    near = np.concatenate([powers, powers * np.sqrt(0.5) * 2])
    x = np.concatenate([near, np.nextafter(near, 9e9), np.exp2(rng.uniform(0, 24, 5000))])
    x = np.maximum(x.astype(np.float32), np.float32(1))
    same(kernels.log(x), loss.log(x))


def test_softmax_cross_entropy(kernels: Kernels, rng: Rng) -> None:
    for spread in (0.0, 1e-3, 1.0, 30.0, 1e4):
        for size in (1, 2, 10, 1000):
            logits = (rng.normal(size=size) * spread).astype(np.float32)
            label = int(rng.integers(size))
            expected = loss.softmax_cross_entropy(logits, label)
            actual = kernels.softmax_cross_entropy(logits, label)
            same(np.float32([actual[0]]), np.float32([expected[0]]))
            same(actual[1], expected[1])


def test_smoothed_cross_entropy(kernels: Kernels, rng: Rng) -> None:
    for spread in (0.0, 1e-3, 1.0, 30.0, 1e4):
        for size in (1, 2, 10, 1000):
            logits = (rng.normal(size=size) * spread).astype(np.float32)
            label, smoothing = int(rng.integers(size)), float(np.float32(rng.uniform(0.01, 0.99)))
            expected = loss.smoothed_cross_entropy(logits, label, smoothing)
            actual = kernels.smoothed_cross_entropy(logits, label, smoothing)
            same(np.float32([actual[0]]), np.float32([expected[0]]))
            same(actual[1], expected[1])


def test_squares_that_overflow_give_an_infinite_loss(kernels: Kernels) -> None:
    output, target = np.float32([1.0, 2.0]), np.float32([1e20, -3.0])
    expected = loss.mean_squared_error(output, target)
    assert expected[0] == np.inf
    actual = kernels.mean_squared_error(output, target)
    same(np.float32([actual[0]]), np.float32([expected[0]]))
    same(actual[1], expected[1])


@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0, 30.0, 1e4])
@pytest.mark.parametrize("count", [1, 3, 640])
def test_losses_of_each_output(kernels: Kernels, rng: Rng, count: int, spread: float) -> None:
    output = (rng.normal(size=count) * spread).astype(np.float32)
    shares = rng.choice(np.float32([0.0, 0.25, 1.0]), count)
    near = output + rng.uniform(-2, 2, count).astype(np.float32)
    for name, target in (("binary_cross_entropy", shares), ("huber", near), ("huber", shares)):
        expected = getattr(loss, name)(output, target)
        actual = getattr(kernels, name)(output, target)
        same(np.float32([actual[0]]), np.float32([expected[0]]))
        same(actual[1], expected[1])


@pytest.mark.parametrize(("pixels", "classes"), [(1, 2), (7, 3), (300, 5)])
def test_pixel_cross_entropy(kernels: Kernels, rng: Rng, pixels: int, classes: int) -> None:
    logits = (rng.normal(size=pixels * classes) * 4).astype(np.float32)
    labels = rng.integers(0, classes, pixels).astype(np.uint8)
    expected = loss.pixel_cross_entropy(logits, labels)
    actual = kernels.pixel_cross_entropy(logits, labels)
    same(np.float32([actual[0]]), np.float32([expected[0]]))
    same(actual[1], expected[1])
    block = memory.Block(labels)
    for limit in (int(labels.max()), int(labels.max()) + 1):
        below = kernels.call("all_below_u8", memory.size(pixels), limit, block, restype=c.c_int)
        assert bool(below) == bool((labels < limit).all())


@pytest.mark.parametrize("spread", [0.0, 1.0, 30.0, 1e4])
def test_weighted_losses(kernels: Kernels, rng: Rng, spread: float) -> None:
    logits = (rng.normal(size=21) * spread).astype(np.float32)
    weights = np.exp2(rng.uniform(-6, 6, 21)).astype(np.float32)
    shares = rng.choice(np.float32([0, 0.25, 1]), 21)
    labels = rng.integers(0, 3, 7).astype(np.uint8)
    for name, target, given in (
        ("weighted_binary_cross_entropy", shares, weights),
        ("weighted_pixel_cross_entropy", labels, weights[:3]),
    ):
        expected = getattr(loss, name)(logits, target, given)
        actual = getattr(kernels, name)(logits, target, given)
        same(np.float32([actual[0]]), np.float32([expected[0]]))
        same(actual[1], expected[1])


@pytest.mark.parametrize("classes", [2, 5, 300, 65_535])
def test_counted_weights(kernels: Kernels, rng: Rng, classes: int) -> None:
    full = np.full(classes, 65_535, np.uint16)
    for counts in (np.zeros(classes, np.uint16), full, rng.integers(0, 9, classes, np.uint16)):
        wanted, found = counts.copy(), counts
        for label in (0, 0, 1, classes - 1):
            weight = class_weights.balanced_weight(wanted, label)
            assert class_weights.LEAST <= weight <= class_weights.MOST
            assert kernels.balanced_weight(found, label) == weight
            class_weights.count_class(wanted, label)
            found = kernels.count_class(found, label)
            same(found, wanted)


def test_counted_weights_make_classes_count_alike() -> None:
    counts, sums = np.zeros(2, np.uint16), np.zeros(2)
    for step in range(8_000):
        label = int(step % 4 == 0)
        if step >= 4_000:
            sums[label] += class_weights.balanced_weight(counts, label)
        class_weights.count_class(counts, label)
    assert sums[0] == pytest.approx(sums[1], rel=0.02) == pytest.approx(2_000, rel=0.02)
    assert 512 <= counts.sum() <= 1024


def test_what_lies_between_two_numbers(kernels: Kernels) -> None:
    def lies(*values: float) -> bool:
        block = memory.Block(np.array(values, np.float32))
        bounds = memory.size(len(values)), 0.0, 1.0
        return bool(kernels.call("all_between_f32", *bounds, block, restype=c.c_int))

    assert lies(0.0, 1.0, 0.5) and lies(-0.0)
    assert not any(map(lies, (np.nan, np.inf, -np.inf, -1e-30, 1.0000001)))
    assert not lies(0.0, 1.0, 2.0)


def test_mean_squared_error(kernels: Kernels, rng: Rng) -> None:
    for size in (1, 3, 640):
        output, target = (rng.normal(size=(2, size)) * 100).astype(np.float32)
        expected = loss.mean_squared_error(output, target)
        actual = kernels.mean_squared_error(output, target)
        same(np.float32([actual[0]]), np.float32([expected[0]]))
        same(actual[1], expected[1])


@pytest.mark.parametrize("values", [[3.0], [1, 5, 5, 2], [-1, -2, -1], [0.0, -0.0], [5, 1, 9]])
def test_argmax(kernels: Kernels, values: list[float]) -> None:
    array = np.float32(values)
    assert kernels.argmax(array) == loss.argmax(array)


def test_set_rate(kernels: Kernels, rng: Rng) -> None:
    smallest = np.float32(2.0**-126)
    edges = [0.0, 1e-45, float(np.nextafter(smallest, np.float32(0))), float(smallest), 1.0, 1024.0]
    for rate in [*edges, *np.exp2(rng.uniform(-126, 10, 500)).astype(np.float32).tolist()]:
        mantissa, exponent = update.rate_parts(rate)
        stored, actual_mantissa, actual_exponent = kernels.rate_parts(rate)
        assert (actual_mantissa, actual_exponent) == (mantissa, exponent)
        assert stored == mantissa * 2.0 ** (exponent - 31)
        assert stored == (rate if rate >= smallest else 0.0)


@pytest.mark.parametrize("limit", [127, 32767])
def test_scales(kernels: Kernels, rng: Rng, limit: int) -> None:
    for _ in range(300):
        exponent = int(rng.choice([-60, 60, rng.integers(-60, 61)]))
        running = int(rng.choice([0, 1, limit << 8, rng.integers(0, (limit << 8) + 1)]))
        size = int(np.exp2(rng.uniform(0, 31)))
        peak = int(rng.choice([0, 1, 2**31 - 1, min(size, 2**31 - 1)]))
        args = exponent, running, peak, limit
        assert kernels.scales_end(*args) == update.scales_end(*args)
        assert kernels.scales_end(*args, active=False) == (exponent, running)
        health = GradientHealth(
            *(int(rng.choice([0, 7, top])) for top in (2**32 - 1, 65535, 65535))
        )
        counted = kernels.scales_health(Scale(exponent, running, peak), limit, health)
        health.count(peak, limit, exponent, update.scales_end(*args)[0])
        assert counted == health


def test_scales_begin(kernels: Kernels) -> None:
    assert kernels.scales_begin([3, 0, 2**31 - 1]) == [0, 0, 0]


def test_crc32(kernels: Kernels, rng: Rng) -> None:
    assert kernels.crc32(b"123456789") == 0xCBF43926
    for length in (0, 1, 2, 3, 100, 1000):
        data = rng.bytes(length)
        assert kernels.crc32(data) == zlib.crc32(data)
        middle = length // 2
        assert kernels.crc32(data[middle:], kernels.crc32(data[:middle])) == zlib.crc32(data)
