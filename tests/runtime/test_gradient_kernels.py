"""Gradient kernels against their twins, to the bit, for all three kinds of gradient."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support.runtime.cases import (
    DTYPES,
    Rng,
    alike,
    clamp,
    conv,
    counted,
    deltas,
    gradient,
    pool,
    s8,
    same,
    segments,
    sgd,
    shift_for,
    zero_point,
)
from tests.support.runtime.kernels import SUFFIX, Kernels
from tests.support.runtime.memory import Rescale, conv_window, works_in_place, workspaces_of
from tinytrain.reference import (
    convolution,
    elementwise,
    gradients,
    normalize,
    pooling,
    update,
)

CASES = 40
kinds = pytest.mark.parametrize("dtype", DTYPES, ids=["s8", "s16", "f32"])


def rounded(
    rng: Rng,
    sums: np.ndarray,
    dtype: type,
    kernel: Callable[[Rescale | None], np.ndarray],
    *,
    wide: bool = False,
) -> None:
    """Holds a kernel that rounds its sums to the reference, peak included."""
    if dtype is np.float32:
        same(kernel(None), sums)
        return
    total = shift_for(rng, sums, dtype)
    input_exponent, output_exponent = (int(e) for e in rng.integers(-60, 61, 2))
    shift = total - output_exponent + input_exponent
    rescale = gradients.rescale64 if wide else gradients.rescale
    expected, peak = rescale(sums, shift, input_exponent, output_exponent, dtype)
    before = int(rng.choice([0, 5, 2**20]))
    argument = Rescale(shift, input_exponent, output_exponent, before)
    same(kernel(argument), expected)
    assert argument.peak == max(peak, before)


def factors_of(dtype: type, scale: np.ndarray, taps: int, groups: int) -> np.ndarray:
    return (
        scale.astype(np.float32)
        if dtype is np.float32
        else convolution.conv2d_factors(scale, taps, groups)[0]
    )


@kinds
def test_conv2d_grad_input(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for case in range(CASES):
        c = conv(rng, dense=case % 4 == 0)
        g = c.gradient(rng, dtype)
        scale = np.exp2(rng.uniform(-12, 0, c.w.shape[0]))
        m = factors_of(dtype, scale, c.w[0, :, :, 0].size, c.geometry["groups"])
        parts = segments(rng, c.w.shape[3])
        sums = convolution.conv2d_grad_input(g, c.w, m, c.x.shape, **c.geometry)
        window, _ = conv_window(c.x.shape, c.w, **c.geometry)
        workspaces = workspaces_of(f"conv2d_{SUFFIX[g.dtype]}_grad_input", window, dtype)
        workspace_bytes = int(rng.choice(workspaces))

        def kernel(
            rescale: Rescale | None, c=c, g=g, m=m, parts=parts, workspace_bytes=workspace_bytes
        ) -> np.ndarray:
            return kernels.conv2d_grad_input(
                g,
                c.w,
                m,
                c.x.shape,
                rescale,
                segments=parts,
                workspace_bytes=workspace_bytes,
                **c.geometry,
            )

        rounded(rng, sums, dtype, kernel)


@kinds
def test_depthwise_conv2d_grad_input(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        c = conv(rng, depthwise=True)
        g = c.gradient(rng, dtype)
        scale = np.exp2(rng.uniform(-12, 0, c.w.shape[0]))
        m = factors_of(dtype, scale, c.w[0].size, c.geometry["groups"])
        inputs, multiple = c.x.shape[3], c.w.shape[0] // c.x.shape[3]
        parts = segments(rng, inputs)
        if parts is not None:
            parts = [(part[:, None] * multiple + np.arange(multiple)).ravel() for part in parts]
        sums = convolution.conv2d_grad_input(g, c.w, m, c.x.shape, **c.geometry)

        def kernel(rescale: Rescale | None, c=c, g=g, m=m, parts=parts) -> np.ndarray:
            return kernels.depthwise_conv2d_grad_input(
                g, c.w, m, c.x.shape, rescale, parts=parts, **c.geometry
            )

        rounded(rng, sums, dtype, kernel)


@kinds
def test_depthwise_conv2d_grad_input_in_place(kernels: Kernels, rng: Rng, dtype: type) -> None:
    """Over the gradient that it reads, where the map is one band."""
    tried = 0
    for _ in range(CASES):
        c = alike(rng)
        g = c.gradient(rng, dtype)
        window, _ = conv_window(c.x.shape, c.w, **c.geometry)
        name = f"depthwise_conv2d_{SUFFIX[g.dtype]}_grad_input"
        if not works_in_place(name, window, dtype):
            assert window.in_h > 8
            continue
        tried += window.in_h > 8
        scale = np.exp2(rng.uniform(-12, 0, c.w.shape[0]))
        m = factors_of(dtype, scale, c.w[0].size, c.geometry["groups"])
        parts = segments(rng, c.w.shape[0])
        sums = convolution.conv2d_grad_input(g, c.w, m, c.x.shape, **c.geometry)

        def kernel(rescale: Rescale | None, c=c, g=g, m=m, parts=parts) -> np.ndarray:
            return kernels.depthwise_conv2d_grad_input(
                g, c.w, m, c.x.shape, rescale, parts=parts, in_place=True, **c.geometry
            )

        rounded(rng, sums, dtype, kernel)
    assert tried > 0


@kinds
@pytest.mark.parametrize("bits", [0, 2, 4, 8])
@pytest.mark.parametrize("depthwise", [False, True])
def test_conv2d_grad_weight(
    kernels: Kernels, rng: Rng, dtype: type, bits: int, depthwise: bool
) -> None:
    for case in range(CASES // 2):
        c = conv(rng, depthwise=depthwise, dense=not depthwise and case % 4 == 0)
        g = c.gradient(rng, dtype)
        kernel = c.w.shape[1:3]
        sums = convolution.conv2d_grad_weight(c.x, g, c.x_zero, kernel, **c.geometry)
        q = 0 if dtype is np.float32 else gradients.sum_shift(g[..., 0].size, dtype)
        rule = sgd(rng, dtype, sums, bits, q)
        fraction = None
        if bits:
            fraction = update.pack_fraction(rng.integers(0, 2**bits, c.w.size), bits)
        expected = update.apply_weights(c.w, fraction, bits, deltas(sums, rule))
        before = rule.counted()
        actual = kernels.conv2d_grad_weight(
            c.x, g, c.x_zero, rule, c.w, fraction, depthwise=depthwise, **c.geometry
        )
        assert rule.counted() == counted(sums, rule, before)
        same(actual[0], expected[0])
        if bits:
            same(actual[1], expected[1])


@kinds
def test_bias_grad(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        g = gradient(rng, dtype, 1, *rng.integers(1, 8, 3))
        sums = convolution.bias_grad(g)
        rule = sgd(rng, dtype, sums, int(rng.choice([0, 8, 24])), 0)
        bias = rng.choice([rng.integers(-5, 6), 2**30, -(2**30)], g.shape[3]).astype(np.int32)
        before = rule.counted()
        same(kernels.bias_grad(g, rule, bias), update.apply_bias(bias, deltas(sums, rule)))
        assert rule.counted() == counted(sums, rule, before)


@kinds
@pytest.mark.parametrize("count_include_pad", [False, True])
def test_avg_pool2d_grad(kernels: Kernels, rng: Rng, dtype: type, count_include_pad: bool) -> None:
    for _ in range(CASES):
        x, kernel, geometry = pool(rng)
        y = pooling.avg_pool2d(x, 0, kernel, (-128, 127), **geometry)
        g = gradient(rng, dtype, *y.shape)
        area = kernel[0] * kernel[1]
        m = (1 / np.arange(1, area + 1)).astype(np.float32)
        if dtype is not np.float32:
            m = pooling.avg_pool2d_factors(area, 1, area)[0]
        options = {"count_include_pad": count_include_pad, **geometry}
        sums = pooling.avg_pool2d_grad(g, m, x.shape, kernel, **options)

        def run(
            rescale: Rescale | None, g=g, m=m, x=x, kernel=kernel, options=options
        ) -> np.ndarray:
            return kernels.avg_pool2d_grad(g, m, x.shape, kernel, rescale, **options)

        rounded(rng, sums, dtype, run)


@kinds
def test_max_pool2d_grad(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        x, kernel, geometry = pool(rng)
        y, winner = pooling.max_pool2d(x, kernel, (-128, 127), **geometry)
        g = gradient(rng, dtype, *y.shape)
        sums = pooling.max_pool2d_grad(g, winner, x.shape, kernel, **geometry)

        def run(
            rescale: Rescale | None, g=g, winner=winner, x=x, kernel=kernel, geometry=geometry
        ) -> np.ndarray:
            return kernels.max_pool2d_grad(g, winner, x.shape, kernel, rescale, **geometry)

        rounded(rng, sums, dtype, run)


@kinds
def test_lookup_grad(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        table = rng.integers(-32767, 32768, 256).astype(np.int16)
        x = s8(rng, 1, 3, 5, 4)
        g = gradient(rng, dtype, *x.shape)
        sums = elementwise.lookup_grad(g, x, table)
        rounded(
            rng,
            sums,
            dtype,
            lambda rescale, g=g, x=x, t=table: kernels.lookup_grad(g, x, t, rescale),
        )


@kinds
def test_multiply_grad(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        shape = (1, *(int(extent) for extent in rng.integers(1, 6, 3)))
        g = gradient(rng, dtype, *shape)
        other = s8(rng, *[shape, (1, 1, 1, shape[3]), (1, 1, 1, 1)][rng.integers(3)])
        scale = float(np.float32(np.exp2(rng.uniform(-12, 2))))
        args = g, other, zero_point(rng), elementwise.multiply_factor(scale)[0], scale
        sums = elementwise.multiply_grad(*args)
        rounded(
            rng, sums, dtype, lambda rescale, a=args: kernels.multiply_grad(*a, rescale), wide=True
        )


@kinds
def test_l2_normalize_grad(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for case in range(CASES):
        shape = tuple(int(extent) for extent in rng.integers(1, 9, 2))
        g, x, zero = gradient(rng, dtype, *shape), s8(rng, *shape), zero_point(rng)
        if case % 3 == 0:
            x = np.where(rng.random(shape) < 0.2, x, np.int8(zero))
        scale = float(np.float32(np.exp2(rng.uniform(-20, 20))))
        args = g, x, zero, normalize.inverse_square(scale)[0], scale
        sums = normalize.l2_normalize_grad(*args)
        rounded(
            rng, sums, dtype, lambda rescale, a=args: kernels.l2_normalize_grad(*a, rescale),
            wide=True,
        )  # fmt: skip


@pytest.mark.parametrize("dtype", [np.int8, np.int16], ids=["s8", "s16"])
def test_l2_normalize_grad_at_its_bounds(kernels: Kernels, dtype: type) -> None:
    """The longest vectors and the largest gradients: along x, across it, and with one element."""
    top, size = np.iinfo(dtype).max, 33025
    x = np.full((1, size), 127, np.int8)
    signs = np.where(np.arange(size) % 2 == 0, 1, -1)
    lone = np.full((1, size), -128, np.int8)
    lone[0, 0] = -127
    inverse, k = normalize.inverse_square(0.02)
    for vector, g in ((x, np.full(size, top)), (x, top * signs), (lone, np.full(size, top))):
        gradient_of = g.astype(dtype)[None]
        sums = normalize.l2_normalize_grad(gradient_of, vector, -128, inverse, 0.02)
        d = vector[0].astype(np.float64) + 128
        exact = (g - d * (d @ g) / (d @ d)) / (0.02 * np.sqrt(d @ d))
        unit = 2.0 ** (np.iinfo(dtype).bits - 1 - 22 - k)
        assert np.abs(sums[0] * unit - exact).max() <= 2e-4 * top
        assert np.abs(sums).max() < 2**62
        for shift in (20, 40, 62):
            expected, peak = gradients.rescale64(sums, shift, 0, 0, dtype)
            rescale = Rescale(shift, 0, 0)
            found = kernels.l2_normalize_grad(gradient_of, vector, -128, inverse, 0.02, rescale)
            same(found, expected)
            assert rescale.peak == peak


@kinds
@pytest.mark.parametrize("per_channel", [False, True])
def test_multiply_grad_broadcast(
    kernels: Kernels, rng: Rng, dtype: type, per_channel: bool
) -> None:
    for _ in range(CASES):
        shape = (1, *(int(extent) for extent in rng.integers(1, 6, 3)))
        g, other = gradient(rng, dtype, *shape), s8(rng, *shape)
        scale = float(np.float32(np.exp2(rng.uniform(-12, 2))))
        args = g, other, zero_point(rng), elementwise.multiply_factor(scale)[0], scale
        sums = elementwise.multiply_grad_broadcast(*args, per_channel=per_channel)

        def run(rescale: Rescale | None, args=args) -> np.ndarray:
            return kernels.multiply_grad_broadcast(*args, rescale, per_channel=per_channel)

        rounded(rng, sums, dtype, run, wide=True)


@kinds
def test_grad_add(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for _ in range(CASES):
        shape = (1, *(int(extent) for extent in rng.integers(1, 6, 3)))
        a, b = gradient(rng, dtype, *shape), gradient(rng, dtype, *shape)
        # Exponents near each other, and as far apart as scales can be.
        a_exponent = int(rng.integers(-60, 61))
        b_exponent = int(np.clip(a_exponent + rng.choice([0, 1, -3, 8, 22, -40, 120]), -60, 60))
        sums, e = elementwise.grad_add(a, b, a_exponent, b_exponent)
        if dtype is np.float32:
            same(kernels.grad_add(a, b, None, 0), sums)
            continue
        for output in (e - 2, e, e + 1, e + 25, -60, 60):
            expected, peak = gradients.rescale(sums, 8, e, output, dtype)
            rescale = Rescale(8, a_exponent, output)
            same(kernels.grad_add(a, b, rescale, b_exponent), expected)
            assert rescale.peak == peak


@kinds
def test_negate(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for length in range(1, 40):
        g = gradient(rng, dtype, length)
        same(kernels.negate(g), elementwise.negate(g))
        same(elementwise.negate(elementwise.negate(g)), g)


@kinds
def test_grad_clamp(kernels: Kernels, rng: Rng, dtype: type) -> None:
    for length in range(1, 40):
        g, y, bounds = gradient(rng, dtype, length), s8(rng, length), clamp(rng)
        expected = elementwise.grad_clamp(g, y, bounds)
        same(kernels.grad_clamp(g, y, bounds), expected)
        mask = elementwise.clamp_mask(y, bounds)
        same(elementwise.grad_clamp_mask(g, mask), expected)
        same(kernels.grad_clamp_mask(g, mask), expected)


@kinds
def test_quantize_gradient(kernels: Kernels, rng: Rng, dtype: type) -> None:
    sizes = [0.0, 1e-45, 2.0**-126, 2.0**-113, 1e-30, 0.5, 1.0, 127.5, 3e38]
    for largest in sizes:
        for length in (1, 10, 33):
            g = (rng.uniform(-1, 1, length) * largest).astype(np.float32)
            g[0] = np.float32(largest) * rng.choice([-1, 1])
            for values in (g, np.nextafter(g, np.float32(0))):
                expected = gradients.quantize_gradient(values, dtype)
                actual = kernels.quantize_gradient(values, dtype)
                same(actual[0], expected[0])
                assert actual[1:] == expected[1:]


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_quantize_gradient_rounds_halves_away(kernels: Kernels, dtype: type) -> None:
    largest = 2.0 ** (gradients.precision(dtype) - 1)
    halves = np.arange(-20, 21).astype(np.float32) + np.float32(0.5)
    g = np.concatenate([np.float32([largest]), halves, np.nextafter(halves, np.float32(0))])
    actual, n, _ = kernels.quantize_gradient(g, dtype)
    assert n == 0
    expected = np.sign(g) * np.floor(np.abs(g.astype(np.float64)) + 0.5)
    same(actual, expected.astype(dtype))


@kinds
def test_quantize_gradient_bears_what_is_not_finite(kernels: Kernels, dtype: type) -> None:
    g = np.float32([np.inf, -np.inf, np.nan, 3e38, 1.0, 0.0])
    with np.errstate(invalid="ignore"):
        expected = gradients.quantize_gradient(g, dtype)
    actual = kernels.quantize_gradient(g, dtype)
    assert actual[1:] == expected[1:]
    if dtype is np.float32:
        same(actual[0], g)
    else:
        top = gradients.limit(dtype)
        assert expected[0].tolist()[:3] == [top, -top, 0]
        same(actual[0], expected[0])
