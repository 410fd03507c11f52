"""The twins of forward kernels against their definitions, element by element."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.runtime.cases import Conv, Rng, conv, pool, s8, zero_point
from tinytrain.ir.graph import Value
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.reference import convolution, elementwise, pooling
from tinytrain.reference.elementwise import add_factors
from tinytrain.reference.fixed_point import multiplier

TWO_ROUNDINGS = 0.76
"""Requantization rounds to half a unit, and before a shift by s once more to 2**-s of a half."""


def naive_conv2d(c: Conv) -> np.ndarray:
    """The definition, in Python integers."""
    x, w, g = c.x[0].astype(int) - c.x_zero, c.w.astype(int), c.geometry
    out = np.zeros(c.output_shape[1:], dtype=np.int64)
    per_out, per_in = w.shape[0] // g["groups"], w.shape[3]
    for oh, ow, o in np.ndindex(out.shape):
        first = o // per_out * per_in
        total = int(c.b[o])
        for kh, kw in np.ndindex(w.shape[1:3]):
            ih = oh * g["strides"][0] - g["padding"][0] + kh * g["dilation"][0]
            iw = ow * g["strides"][1] - g["padding"][1] + kw * g["dilation"][1]
            if 0 <= ih < x.shape[0] and 0 <= iw < x.shape[1]:
                total += int(np.dot(x[ih, iw, first : first + per_in], w[o, kh, kw]))
        out[oh, ow, o] = total
    return out[None]


@pytest.mark.parametrize("depthwise", [False, True])
def test_conv2d(rng: Rng, depthwise: bool) -> None:
    for _ in range(25):
        c = conv(rng, depthwise=depthwise)
        got = convolution.conv2d_s32(c.x, c.w, c.b, c.x_zero, **c.geometry)
        assert got.dtype == np.int32
        assert np.array_equal(got, naive_conv2d(c))


def test_conv2d_takes_batches(rng: Rng) -> None:
    for depthwise in (False, True):
        c = conv(rng, depthwise=depthwise)
        batch = np.concatenate([c.x, s8(rng, *c.x.shape)])
        got = convolution.conv2d_s32(batch, c.w, c.b, c.x_zero, **c.geometry)
        for i in range(2):
            one = convolution.conv2d_s32(batch[i : i + 1], c.w, c.b, c.x_zero, **c.geometry)
            assert np.array_equal(got[i : i + 1], one)


def test_conv2d_is_near_the_real_convolution(rng: Rng) -> None:
    for _ in range(20):
        c = conv(rng)
        b = (c.b >> 16).astype(np.int32)
        real = naive_conv2d(Conv(c.x, c.w, b, c.x_zero, c.geometry)).astype(np.float64)
        ratio = 100 / np.max(np.abs(real))
        m, s = multiplier(float(ratio))
        got = convolution.conv2d(c.x, c.w, b, c.x_zero, m, s, 3, (-128, 127), **c.geometry)
        assert np.max(np.abs(got - (real * ratio + 3))) <= TWO_ROUNDINGS


def test_one_position_is_a_matrix_product(rng: Rng) -> None:
    x, w, b = s8(rng, 2, 30), s8(rng, 7, 30), rng.integers(-999, 999, 7).astype(np.int32)
    got = convolution.conv2d_s32(x[:, None, None], w[:, None, None], b, -5)[:, 0, 0]
    assert np.array_equal(got, (x.astype(int) + 5) @ w.T.astype(int) + b)
    m, s = multiplier(1e-4)
    full = convolution.conv2d(x[:, None, None], w[:, None, None], b, -5, m, s, -3, (-100, 90))[
        :, 0, 0
    ]
    assert full.dtype == np.int8
    assert np.max(np.abs(full - np.clip(got * 1e-4 - 3, -100, 90))) <= 0.51


def test_add_is_near_the_real_sum(rng: Rng) -> None:
    for _ in range(30):
        a, b, zeros = s8(rng, 500), s8(rng, 500), [zero_point(rng) for _ in range(3)]
        s_a, s_b, s_y = np.exp2(rng.uniform(-8, 0, 3))
        values = (
            Value("v", TensorType((500,), DType.S8, Quantization((float(scale),), zero)))
            for scale, zero in zip((s_a, s_b, s_y), zeros, strict=True)
        )
        factors, shift = add_factors(*values)
        assert 2**20 <= max(factors) < 2**21
        got = elementwise.add(a, b, zeros[0], zeros[1], factors, shift, zeros[2], (-128, 127))
        real = (s_a * (a.astype(float) - zeros[0]) + s_b * (b.astype(float) - zeros[1])) / s_y
        assert np.max(np.abs(got - np.clip(real + zeros[2], -128, 127))) <= 0.51


def test_multiply_is_near_the_real_product(rng: Rng) -> None:
    for _ in range(30):
        a, b, zeros = s8(rng, 9, 50), s8(rng, 50), [zero_point(rng) for _ in range(3)]
        ratio = float(np.exp2(rng.uniform(-12, -4)))
        m, s = multiplier(ratio)
        got = elementwise.multiply(a, b, zeros[0], zeros[1], m, s, zeros[2], (-128, 127))
        real = (a.astype(float) - zeros[0]) * (b.astype(float) - zeros[1]) * ratio
        assert np.max(np.abs(got - np.clip(real + zeros[2], -128, 127))) <= TWO_ROUNDINGS


def windows(x: np.ndarray, kernel: tuple[int, int], geometry: dict) -> list[list[np.ndarray]]:
    """For each output position, the elements inside the map, tap by tap, as [taps, C + 1]: the
    number of the tap stands last."""
    (top, left, bottom, right), (s_h, s_w) = geometry["padding"], geometry["strides"]
    height, width = x.shape[1:3]
    rows = []
    for oh in range((height + top + bottom - kernel[0]) // s_h + 1):
        row = []
        for ow in range((width + left + right - kernel[1]) // s_w + 1):
            taps = [
                [*x[0, oh * s_h - top + kh, ow * s_w - left + kw], kh * kernel[1] + kw]
                for kh, kw in np.ndindex(kernel)
                if 0 <= oh * s_h - top + kh < height and 0 <= ow * s_w - left + kw < width
            ]
            row.append(np.array(taps, dtype=int))
        rows.append(row)
    return rows


@pytest.mark.parametrize("include_pad", [False, True])
def test_avg_pool2d(rng: Rng, include_pad: bool) -> None:
    for _ in range(30):
        x, kernel, geometry = pool(rng)
        zero, area = zero_point(rng), kernel[0] * kernel[1]
        options = {"count_include_pad": include_pad, **geometry}
        got = pooling.avg_pool2d(x, zero, kernel, (-128, 127), **options)
        pairs = [multiplier(0.7 / count) for count in range(1, area + 1)]
        tables = {"multiplier": [p[0] for p in pairs], "shift": [p[1] for p in pairs], "zero": 9}
        scaled = pooling.avg_pool2d(x, zero, kernel, (-128, 127), **options, **tables)
        for oh, row in enumerate(windows(x, kernel, geometry)):
            for ow, taps in enumerate(row):
                count = area if include_pad else len(taps)
                real = np.sum(taps[:, :-1] - zero, axis=0) / count
                exact = real + zero
                half_away = np.sign(exact) * np.floor(np.abs(exact) + 0.5)
                assert np.array_equal(got[0, oh, ow], half_away)
                near = np.abs(scaled[0, oh, ow] - np.clip(real * 0.7 + 9, -128, 127))
                assert np.max(near) <= TWO_ROUNDINGS


def test_max_pool2d(rng: Rng) -> None:
    for _ in range(30):
        x, kernel, geometry = pool(rng)
        y, winner = pooling.max_pool2d(x, kernel, (-50, 60), **geometry)
        for oh, row in enumerate(windows(x, kernel, geometry)):
            for ow, taps in enumerate(row):
                values, numbers = taps[:, :-1], taps[:, -1]
                assert np.array_equal(y[0, oh, ow], np.clip(values.max(axis=0), -50, 60))
                assert np.array_equal(winner[0, oh, ow], numbers[values.argmax(axis=0)])
