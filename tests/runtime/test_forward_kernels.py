"""Forward kernels against their twins, to the bit."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.support.runtime.cases import (
    Rng,
    alike,
    clamp,
    conv,
    pool,
    requantization,
    s8,
    same,
    segments,
    zero_point,
)
from tests.support.runtime.kernels import Kernels
from tests.support.runtime.memory import conv_window, works_in_place, workspaces_of
from tinytrain.reference import conversion, convolution, elementwise, layout, normalize, pooling
from tinytrain.reference.fixed_point import multipliers
from tinytrain.reference.health import InputHealth

CASES = 60


def test_conv2d(kernels: Kernels, rng: Rng) -> None:
    for case in range(CASES):
        c = conv(rng, dense=case % 4 == 0)
        output = (*requantization(rng, c.w.shape[0]), zero_point(rng), clamp(rng))
        parts = segments(rng, c.w.shape[3])
        expected = convolution.conv2d(c.x, c.w, c.b, c.x_zero, *output, **c.geometry)
        workspaces = workspaces_of("conv2d_s8", conv_window(c.x.shape, c.w, **c.geometry)[0])
        how = {"segments": parts, "workspace_bytes": int(rng.choice(workspaces)), **c.geometry}
        same(kernels.conv2d(c.x, c.w, c.b, c.x_zero, *output, **how), expected)
        sums = convolution.conv2d_s32(c.x, c.w, c.b, c.x_zero, **c.geometry)
        same(kernels.conv2d_s32(c.x, c.w, c.b, c.x_zero, **how), sums)


def test_conv2d_at_the_bound_of_its_accumulator(kernels: Kernels) -> None:
    # 32,768 products of 255 * -128 and a bias of -2^30: the most that the contract allows.
    x = np.full((1, 1, 1, 32768), 127, np.int8)
    w = np.full((2, 1, 1, 32768), -128, np.int8)
    b = np.int32([-(2**30), 2**30])
    expected = np.int32([[[[-(2**30) - 32768 * 255 * 128, 2**30 - 32768 * 255 * 128]]]])
    same(convolution.conv2d_s32(x, w, b, -128), expected)
    same(kernels.conv2d_s32(x, w, b, -128), expected)


def test_depthwise_conv2d(kernels: Kernels, rng: Rng) -> None:
    for _ in range(CASES):
        c = conv(rng, depthwise=True)
        output = (*requantization(rng, c.w.shape[0]), zero_point(rng), clamp(rng))
        expected = convolution.conv2d(c.x, c.w, c.b, c.x_zero, *output, **c.geometry)
        parts = segments(rng, c.w.shape[0])
        args = (c.x, c.w, c.b, c.x_zero, *output)
        same(kernels.depthwise_conv2d(*args, parts=parts, **c.geometry), expected)


def test_depthwise_conv2d_in_place(kernels: Kernels, rng: Rng) -> None:
    """Over its input, of one strip or many, in one call or several."""
    for _ in range(CASES):
        c = alike(rng)
        assert works_in_place("depthwise_conv2d_s8", conv_window(c.x.shape, c.w, **c.geometry)[0])
        output = (*requantization(rng, c.w.shape[0]), zero_point(rng), clamp(rng))
        expected = convolution.conv2d(c.x, c.w, c.b, c.x_zero, *output, **c.geometry)
        parts = segments(rng, c.w.shape[0])
        args = (c.x, c.w, c.b, c.x_zero, *output)
        same(kernels.depthwise_conv2d(*args, parts=parts, in_place=True, **c.geometry), expected)


def test_add(kernels: Kernels, rng: Rng) -> None:
    for _ in range(CASES):
        shape = (1, *rng.integers(1, 6, 3))
        edges = [0, 1, 2**21 - 1, *rng.integers(0, 2**21, 5)]
        # Of a difference, one is negative.
        signs = rng.choice([-1, 1], 2)
        factors = tuple(int(factor) for factor in rng.choice(edges, 2) * signs)
        args = (
            *(s8(rng, *shape), s8(rng, *shape), zero_point(rng), zero_point(rng)),
            *(factors, int(rng.integers(1, 31))),
            *(zero_point(rng), clamp(rng)),
        )
        same(kernels.add(*args), elementwise.add(*args))


def test_multiply(kernels: Kernels, rng: Rng) -> None:
    for _ in range(CASES):
        shape = (1, *rng.integers(1, 6, 3))
        a = s8(rng, *shape)
        b = s8(rng, *[shape, (1, 1, 1, shape[3]), (1, 1, 1, 1)][rng.integers(3)])
        mantissas, shifts = requantization(rng, 1)
        output = int(mantissas[0]), int(shifts[0]), zero_point(rng), clamp(rng)
        args = (a, b, zero_point(rng), zero_point(rng), *output)
        same(kernels.multiply(*args), elementwise.multiply(*args))


def test_l2_normalize(kernels: Kernels, rng: Rng) -> None:
    for case in range(CASES):
        zero = zero_point(rng)
        x = s8(rng, *rng.integers(1, 9, 2))
        if case % 3 == 0:
            # Zeros, and vectors with one element that is none.
            x = np.where(rng.random(x.shape) < 0.2, x, np.int8(zero))
        found = kernels.l2_normalize(x, zero)
        same(found, normalize.l2_normalize(x, zero))
        d = x.astype(np.float64) - zero
        length = np.maximum(np.sqrt((d * d).sum(axis=-1, keepdims=True)), 0.5)
        assert np.abs(found - np.minimum(128 * d / length, 127)).max() <= 0.5 + 1e-9


def test_l2_normalize_at_the_bound_of_its_sum(kernels: Kernels) -> None:
    x = np.full((1, 33025), 127, np.int8)
    same(kernels.l2_normalize(x, -128), np.full(x.shape, 1, np.int8))
    same(normalize.l2_normalize(x, -128), np.full(x.shape, 1, np.int8))


@pytest.mark.parametrize("requantized", [False, True])
@pytest.mark.parametrize("count_include_pad", [False, True])
def test_avg_pool2d(kernels: Kernels, rng: Rng, requantized: bool, count_include_pad: bool) -> None:
    for _ in range(CASES):
        x, kernel, geometry = pool(rng)
        options = {"count_include_pad": count_include_pad}
        if requantized:
            area = kernel[0] * kernel[1]
            scale = np.exp2(rng.uniform(-3, 3)) / np.arange(1, area + 1)
            mantissas, shifts = multipliers(scale)
            options |= {"multiplier": mantissas, "shift": shifts, "zero": zero_point(rng)}
        args = (x, zero_point(rng), kernel, clamp(rng))
        same(
            kernels.avg_pool2d(*args, **options, **geometry),
            pooling.avg_pool2d(*args, **options, **geometry),
        )


def test_max_pool2d(kernels: Kernels, rng: Rng) -> None:
    for _ in range(CASES):
        x, kernel, geometry = pool(rng)
        bounds = clamp(rng)
        y, winner = pooling.max_pool2d(x, kernel, bounds, **geometry)
        actual, won = kernels.max_pool2d(x, kernel, bounds, **geometry)
        same(actual, y)
        same(won, winner)
        assert kernels.max_pool2d(x, kernel, bounds, with_winner=False, **geometry)[1] is None


def test_lookup(kernels: Kernels, rng: Rng) -> None:
    x, table = np.arange(-128, 128).astype(np.int8), s8(rng, 256)
    same(kernels.lookup(table, x), elementwise.lookup(table, x))


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.float32])
def test_moves(kernels: Kernels, rng: Rng, dtype: type) -> None:
    x = rng.integers(-100, 100, (1, 3, 5, 7)).astype(dtype)
    for chosen in ([0], [6], [1, 2, 5], list(range(7))):
        channels = np.array(chosen)
        same(kernels.gather_channels(x, channels), layout.gather_channels(x, channels))
    for shape in ((6,), (3, 4), (2, 3, 5), (2, 3, 4, 5)):
        data = rng.integers(-100, 100, shape).astype(dtype)
        for axes in itertools.permutations(range(len(shape))):
            same(kernels.transpose(data, axes), layout.transpose(data, axes))
    parts = [x, x[..., :2].copy(), x[..., 3:4].copy()]
    same(kernels.concatenate(parts), np.concatenate(parts, axis=-1))


def test_dequantize(kernels: Kernels, rng: Rng) -> None:
    every = np.arange(-128, 128).astype(np.int8)
    for scale in (2.0**-7, 0.0123, 3.7e-5):
        zero = zero_point(rng)
        same(kernels.dequantize(every, zero, scale), conversion.dequantize(every, zero, scale))
    sums = rng.integers(-(2**31), 2**31, (40, 7)).astype(np.int32)
    scales = np.exp2(rng.uniform(-20, 0, 7)).astype(np.float32)
    same(kernels.dequantize(sums, 0, scales), conversion.dequantize(sums, 0, scales))
    same(kernels.dequantize(sums, 0, scales[:1]), conversion.dequantize(sums, 0, scales[:1]))


def test_quantize(kernels: Kernels, rng: Rng) -> None:
    halves = np.arange(-600, 601).astype(np.float32) / 2
    odd = np.float32([np.nan, np.inf, -np.inf, 3e38, -3e38, 1e-45, -0.0])
    values = np.concatenate([halves, np.nextafter(halves, 1), np.nextafter(halves, -1), odd])
    for scale in (1.0, 0.5, 1 / 255, float(np.float32(rng.random()))):
        scaled = (values * np.float32(scale)).astype(np.float32)
        for zero in (-128, 0, 127, 3):
            same(kernels.quantize(scaled, zero, scale), conversion.quantize(scaled, zero, scale))
            for before in (InputHealth(), InputHealth(2**31 - 1, 5), InputHealth(2**31, 2**20 + 1)):
                y, counted = kernels.quantize_input(scaled, zero, scale, before)
                same(y, conversion.quantize(scaled, zero, scale))
                before.count(scaled, scale, zero)
                assert counted == before


def test_clamp_mask(kernels: Kernels, rng: Rng) -> None:
    for length in range(1, 40):
        y, bounds = s8(rng, length), clamp(rng)
        same(kernels.clamp_mask(y, bounds), elementwise.clamp_mask(y, bounds))
