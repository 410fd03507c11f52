"""The twins of gradient kernels against derivatives.

A convolution and a mean are linear, so their gradients are adjoints, <A dx, g> = <dx, A* g>, which
integers show exactly for random dx and g. The integer gradients are then held to the real ones
within the error that their roundings can make.
"""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.runtime.cases import Conv, Rng, conv, gradient, pool, s8, zero_point
from tinytrain.reference import convolution, elementwise, gradients, pooling, windows

INTEGERS = [np.int8, np.int16]


def linear(c: Conv, x: np.ndarray) -> np.ndarray:
    """The convolution of c without its bias and zero point, in integers."""
    bias = np.zeros(c.w.shape[0], np.int32)
    return convolution.conv2d_s32(x, c.w, bias, 0, **c.geometry).astype(np.int64)


def small_integers(rng: Rng, shape: tuple[int, ...]) -> np.ndarray:
    """Float32 integers so small that every sum of their products with s8 is exact."""
    return rng.integers(-3, 4, shape).astype(np.float32)


@pytest.mark.parametrize("depthwise", [False, True])
def test_conv2d_gradients_are_adjoints(rng: Rng, depthwise: bool) -> None:
    for _ in range(25):
        c = conv(rng, depthwise=depthwise)
        g = small_integers(rng, c.output_shape)
        scale = np.exp2(rng.integers(-3, 3, c.w.shape[0])).astype(np.float32)
        dx = convolution.conv2d_grad_input(g, c.w, scale, c.x.shape, **c.geometry)
        probe = s8(rng, *c.x.shape)
        assert np.sum(dx.astype(float) * probe) == np.sum(g * scale * linear(c, probe))
        dw = convolution.conv2d_grad_weight(c.x, g, c.x_zero, c.w.shape[1:3], **c.geometry)
        assert dw.shape == c.w.shape
        probed = Conv(c.x, s8(rng, *c.w.shape), c.b, c.x_zero, c.geometry)
        bias = np.zeros(c.w.shape[0], np.int32)
        moved = convolution.conv2d_s32(c.x, probed.w, bias, c.x_zero, **c.geometry)
        assert np.sum(dw.astype(float) * probed.w) == np.sum(g.astype(float) * moved)
        assert np.array_equal(convolution.bias_grad(g), g.sum(axis=(0, 1, 2)))
        exact = convolution.conv2d_grad_weight(
            c.x, g.astype(np.int8), c.x_zero, c.w.shape[1:3], **c.geometry
        )
        assert np.array_equal(exact, dw)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_integer_dx_is_near_the_real_one(rng: Rng, dtype: type) -> None:
    for case in range(30):
        c = conv(rng, depthwise=case % 3 == 0)
        g = c.gradient(rng, dtype)
        scale = np.exp2(rng.uniform(-10, 0, c.w.shape[0]))
        area = c.w[0, :, :, 0].size
        m, k = convolution.conv2d_factors(scale, area, c.geometry["groups"])
        sums = convolution.conv2d_grad_input(g, c.w, m, c.x.shape, **c.geometry)
        assert np.max(np.abs(sums)) < 2**30
        p = gradients.precision(dtype)

        def transposed(weighted: np.ndarray, w: np.ndarray, c=c) -> np.ndarray:
            """Exact adjoint in float64, by the columns of the linear map."""
            result = np.zeros(c.x.shape)
            one = Conv(c.x, w, c.b, 0, c.geometry)
            for position in np.ndindex(c.x.shape[1:]):
                unit = np.zeros(c.x.shape, np.int8)
                unit[(0, *position)] = 1
                result[(0, *position)] = np.sum(linear(one, unit) * weighted)
            return result

        if c.x.size > 150:
            continue
        real = transposed(g * scale, c.w)
        # m is within 1/2 of scale * 2^k, and pre rounds G * m / 2^p by at most 1/2.
        weight = np.minimum(np.abs(c.w.astype(int)), 127).astype(np.int8)
        error = transposed(np.where(g == 0, 0, 0.5 + np.abs(g.astype(int)) * 0.5 / 2**p), weight)
        error *= 128 / 127
        assert np.all(np.abs(sums - real * 2.0 ** (k - p)) <= error + 1e-6)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_rescale_rounds_and_saturates(rng: Rng, dtype: type) -> None:
    sums = rng.integers(-(2**20), 2**20, 500)
    top = gradients.limit(dtype)
    for shift in (20 - gradients.precision(dtype), 3, 21):
        got, peak = gradients.rescale(sums, shift + 2, 7, 5, dtype)
        real = sums / 2.0**shift
        inside = np.abs(real) < top
        assert np.all(np.abs(got - real)[inside] <= 0.5)
        assert np.array_equal(got[~inside], (np.sign(real) * top)[~inside])
        assert peak == np.max(np.abs(np.floor(real + 0.5)))


def test_peak_counts_what_saturates() -> None:
    got, peak = gradients.rescale(np.int64([1000, -2000]), 1, 0, 0, np.int8)
    assert (got.tolist(), peak) == ([127, -127], 1000)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_quantized_loss_gradient_is_near(rng: Rng, dtype: type) -> None:
    for largest in (1e-20, 1e-3, 1.0, 700.0):
        g = (rng.uniform(-1, 1, 50) * largest).astype(np.float32)
        integers, n, active = gradients.quantize_gradient(g, dtype)
        assert active
        top = gradients.limit(dtype)
        assert top // 2 < np.max(np.abs(integers.astype(int))) <= top
        # Half a unit of rounding; the largest may lose half a unit more to +-L.
        assert np.max(np.abs(integers * 2.0**n - g)) <= 2.0**n
    assert gradients.quantize_gradient(np.zeros(3, np.float32), dtype)[1:] == (0, False)


@pytest.mark.parametrize("dtype", INTEGERS)
def test_grad_add_is_near_the_sum(rng: Rng, dtype: type) -> None:
    for _ in range(50):
        a, b = gradient(rng, dtype, 30), gradient(rng, dtype, 30)
        e_a, e_b = (int(e) for e in rng.integers(-9, 10, 2))
        sums, e = elementwise.grad_add(a, b, e_a, e_b)
        real = a * 2.0**e_a + b * 2.0**e_b
        assert np.max(np.abs(sums * 2.0 ** (e - 8) - real)) <= 2.0 ** (e - 8) / 2
        assert e == max(e_a, e_b)


@pytest.mark.parametrize("include_pad", [False, True])
def test_avg_pool2d_grad(rng: Rng, include_pad: bool) -> None:
    for _ in range(30):
        x, kernel, geometry = pool(rng)
        area, zero = kernel[0] * kernel[1], 0
        options = {"count_include_pad": include_pad, **geometry}
        window = windows.SlidingWindow(kernel, geometry["strides"], geometry["padding"])
        counts = window.counts(*x.shape[1:3], include_pad=include_pad)
        g = gradient(rng, np.int8, 1, *counts.shape[1:3], x.shape[3])
        # With weight 1 on every count but one, the sums are adjoint to the sum over windows.
        ones = np.ones(area, np.float32)
        dx = pooling.avg_pool2d_grad(g.astype(np.float32), ones, x.shape, kernel, **options)
        box = np.ones((x.shape[3], *kernel, 1), np.int8)
        bias = np.zeros(x.shape[3], np.int32)
        total = convolution.conv2d_s32(x, box, bias, zero, groups=x.shape[3], **geometry)
        assert np.sum(dx.astype(float) * x) == np.sum(g.astype(float) * total)
        smallest = int(counts.min())
        m, k = pooling.avg_pool2d_factors(area, smallest, area)
        assert m[smallest - 1] > 2**13 or k == 30
        sums = pooling.avg_pool2d_grad(g, m, x.shape, kernel, **options)
        real = pooling.avg_pool2d_grad(
            g.astype(np.float32), np.float32(1 / np.arange(1, area + 1)), x.shape, kernel, **options
        )
        # A window adds at most 1/2 of pre's rounding and 1/2 * |G| / 2^p of m's.
        assert np.max(np.abs(sums - real * 2.0 ** (k - 7))) <= area * 1.0 + 1e-3 * 2.0 ** (k - 7)


def test_max_pool2d_grad_is_the_derivative(rng: Rng) -> None:
    for _ in range(20):
        x, kernel, geometry = pool(rng)
        # Distinct elements, two apart: a step of 1 changes no winner.
        distinct = rng.permutation(np.arange(-127, 126, 2))
        x = np.resize(distinct, x.shape)[..., :1].astype(np.int8)
        x = x[:, :10, :10]
        x[0, ..., 0] = distinct[: x[0, ..., 0].size].reshape(x.shape[1:3])
        y, winner = pooling.max_pool2d(x, kernel, (-128, 127), **geometry)
        g = gradient(rng, np.int8, *y.shape)
        dx = pooling.max_pool2d_grad(g, winner, x.shape, kernel, **geometry)
        for position in np.ndindex(x.shape):
            moved = x.copy()
            moved[position] += 1
            change = pooling.max_pool2d(moved, kernel, (-128, 127), **geometry)[0].astype(int) - y
            assert dx[position] == np.sum(change * g)


def test_multiply_gradients_are_derivatives(rng: Rng) -> None:
    for _ in range(30):
        shape = (1, *(int(extent) for extent in rng.integers(1, 6, 3)))
        a, zero, scale = s8(rng, *shape), zero_point(rng), 0.25
        mu, k = elementwise.multiply_factor(scale)
        assert 2**14 <= mu < 2**15
        assert mu * 2.0**-k == scale
        for b_shape in (shape, (1, 1, 1, shape[3]), (1, 1, 1, 1)):
            b = s8(rng, *b_shape)
            g = gradient(rng, np.int8, *shape)
            real = g.astype(float) * (b.astype(float) - zero) * scale
            assert np.array_equal(elementwise.multiply_grad(g, b, zero, mu, scale) * 2.0**-k, real)
            g32 = g.astype(np.float32)
            assert np.array_equal(elementwise.multiply_grad(g32, b, zero, mu, scale), real)
        for per_channel, axes in ((True, (0, 1, 2)), (False, (0, 1, 2, 3))):
            real = np.sum(g.astype(float) * (a.astype(float) - zero) * scale, axis=axes)
            for of in (g, g32):
                sums = elementwise.multiply_grad_broadcast(
                    of, a, zero, mu, scale, per_channel=per_channel
                )
                exact = sums * (2.0**-k if of is g else 1.0)
                assert np.array_equal(exact, np.atleast_1d(real))


def test_lookup_grad(rng: Rng) -> None:
    g, x = gradient(rng, np.int8, 50), s8(rng, 50)
    table = np.repeat(np.int16([0, 2**14, -(2**13), 32767]), 64)
    slope = table[x.astype(int) + 128] / 2**14
    assert np.array_equal(elementwise.lookup_grad(g, x, table) / 2**14, g * slope)
    assert np.array_equal(elementwise.lookup_grad(g.astype(np.float32), x, table), g * slope)


def test_factors_use_the_room_that_there_is(rng: Rng) -> None:
    for _ in range(50):
        outputs, taps = int(rng.integers(1, 600)), int(rng.integers(1, 50))
        scale = np.exp2(rng.uniform(-14, 2, outputs))
        m, k = convolution.conv2d_factors(scale, taps)
        assert np.max(np.abs(m - scale * 2.0**k)) <= 0.5
        bound = taps * 128 * int(np.sum(m.astype(np.int64) + 1))
        assert bound <= 2**30
        doubled = np.rint(scale * 2.0 ** (k + 1))
        larger = taps * 128 * np.sum(doubled + 1)
        assert k == 30 or larger > 2**30 or np.max(doubled) > 32767


def test_sum_shift() -> None:
    for positions in (1, 66_311, 66_312, 200_000):
        for dtype in INTEGERS:
            largest, q = (
                positions * 255 * gradients.limit(dtype),
                gradients.sum_shift(positions, dtype),
            )
            assert largest >> q < 2**31
            assert q == 0 or largest >> (q - 1) >= 2**31
