"""Gradient kernels: docs/arithmetic.md section 4.

A gradient is int8, int16 or float32 (the dtype of the array says which of the three arithmetics
applies); maps are [1,H,W,C]. A function that sums returns the sums: int64 for integer gradients,
to be rounded by `rescale`, and the float32 gradient itself otherwise. `factors` are per output
channel: integers m for integer gradients, the real float32 factors otherwise.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from tinytrain.reference.fixed_point import rh, rh64
from tinytrain.reference.loss import sequential_sum
from tinytrain.reference.windows import Pair, SlidingWindow

Padding = tuple[int, int, int, int]
F = np.float32


def limit(dtype: npt.DTypeLike) -> int:
    """L, the largest magnitude of an integer gradient."""
    return int(np.iinfo(np.dtype(dtype)).max)


def precision(dtype: npt.DTypeLike) -> int:
    """p, the bits of magnitude of an integer gradient: 7 or 15."""
    return int(np.iinfo(np.dtype(dtype)).bits) - 1


def is_real(g: np.ndarray) -> bool:
    """Whether the gradient is float32, so that nothing is rounded to integers."""
    return bool(g.dtype == np.float32)


def quantize_gradient(g: np.ndarray, dtype: npt.DTypeLike) -> tuple[np.ndarray, int, bool]:
    """The loss gradient, float32, as integers with E = 0.

    Returns:
        (G, n, active): real = G * 2**n; active is False when every entry is 0. For float32 G is a
        copy and n is 0. A NaN counts as 0.
    """
    values = np.where(np.isnan(g), F(0), g.astype(F))
    largest = float(np.max(np.abs(values)))
    active = largest > 0
    if np.dtype(dtype) == np.float32:
        return g.astype(F), 0, active
    if not active:
        return np.zeros(g.shape, dtype=dtype), 0, False
    k = 129 if math.isinf(largest) else math.frexp(largest)[1]
    n = max(k - precision(dtype), -120)
    top = limit(dtype)
    with np.errstate(over="ignore"):
        magnitude = np.minimum(np.ldexp(np.abs(values).astype(np.float64), -n), top + 1)
    rounded = np.minimum(np.floor(magnitude + 0.5), top)
    return (np.sign(values) * rounded).astype(dtype), n, True


def rescale(
    sums: np.ndarray, shift: int, input_exponent: int, output_exponent: int, dtype: npt.DTypeLike
) -> tuple[np.ndarray, int]:
    """(G, peak) for |sums| <= 2**30, shift = c: r = rh(sums, c + E_out - E_in) clamped to +-L, and
    the largest |r|."""
    return _clamp(rh(sums, shift + output_exponent - input_exponent), dtype)


def rescale64(
    sums: np.ndarray, shift: int, input_exponent: int, output_exponent: int, dtype: npt.DTypeLike
) -> tuple[np.ndarray, int]:
    """`rescale` by rh64, for |sums| < 2**62."""
    return _clamp(rh64(sums, shift + output_exponent - input_exponent), dtype)


def _clamp(rounded: np.ndarray, dtype: npt.DTypeLike) -> tuple[np.ndarray, int]:
    top = limit(dtype)
    peak = int(np.max(np.abs(rounded), initial=0))
    return np.clip(rounded, -top, top).astype(dtype), peak


def pre(g: np.ndarray, factor: npt.ArrayLike) -> np.ndarray:
    """(G * m + 2**(p - 1)) >> p, int64, 0 <= m <= 32767; for float32 gradients G * f32(factor)."""
    if is_real(g):
        return g * np.asarray(factor, dtype=F)
    p = precision(g.dtype)
    return (g.astype(np.int64) * np.asarray(factor, dtype=np.int64) + (1 << (p - 1))) >> p


def grad_clamp(g: np.ndarray, y: np.ndarray, clamp: Pair) -> np.ndarray:
    """g where lo < y < hi, else 0; y is the int8 forward output."""
    return np.where((y > clamp[0]) & (y < clamp[1]), g, g.dtype.type(0))


def grad_clamp_mask(g: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """g where its bit of `forward.clamp_mask` is set, else 0."""
    bits = np.unpackbits(mask, count=g.size, bitorder="little").astype(bool)
    return np.where(bits.reshape(g.shape), g, g.dtype.type(0))


def grad_add(
    a: np.ndarray, b: np.ndarray, a_exponent: int, b_exponent: int
) -> tuple[np.ndarray, int]:
    """Sum of two branches: (sums, E_in) for `rescale` with shift 8; (sum, 0) for float32."""
    if is_real(a):
        return a + b, 0
    e = max(a_exponent, b_exponent)
    left = rh(a.astype(np.int64) * 256, e - a_exponent)
    return left + rh(b.astype(np.int64) * 256, e - b_exponent), e


def conv2d_grad_input(
    g: np.ndarray,
    w: np.ndarray,
    factors: npt.ArrayLike,
    input_shape: tuple[int, ...],
    *,
    strides: Pair = (1, 1),
    padding: Padding = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Sums of dX [1,H,W,I] from g [1,out_h,out_w,O] and w int8 [O,KH,KW,I/groups].

    Float32 sums run over kh, kw, o in that order.
    """
    window = SlidingWindow((w.shape[1], w.shape[2]), strides, padding, dilation)
    outputs = (g.shape[1], g.shape[2])
    scaled = pre(g, factors).reshape(1, *outputs, groups, w.shape[0] // groups)
    weights = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    acc = np.zeros(window.padded_shape(input_shape), dtype=np.float32 if is_real(g) else np.int64)
    for kh, kw, view in window.taps(acc, outputs):
        # The views of two taps overlap, those of one do not.
        if is_real(g) or w.shape[3] == 1:
            for o in range(weights.shape[1]):
                tap = weights[:, o, kh, kw].astype(acc.dtype)
                view += (scaled[..., o, None] * tap).reshape(view.shape)
        else:
            left = scaled.reshape(-1, *scaled.shape[3:]).transpose(1, 0, 2).astype(np.float64)
            product = np.matmul(left, weights[:, :, kh, kw].astype(np.float64))
            view += product.transpose(1, 0, 2).reshape(view.shape).astype(np.int64)
    return window.crop(acc, input_shape[1], input_shape[2])


def conv2d_grad_weight(
    x: np.ndarray,
    g: np.ndarray,
    x_zero: int,
    kernel: Pair,
    *,
    strides: Pair = (1, 1),
    padding: Padding = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Sums of dW [O,KH,KW,I/groups] from x int8 [1,H,W,I] and g [1,out_h,out_w,O].

    Integer sums are exact (`sum_shift` cuts those of int16 to 32 bits); float32 sums run over rows,
    then columns.
    """
    window = SlidingWindow(kernel, strides, padding, dilation)
    outputs = (g.shape[1], g.shape[2])
    positions = outputs[0] * outputs[1]
    centred = window.pad(x.astype(np.int16) - np.int16(x_zero))
    by_group = g.reshape(positions, groups, g.shape[3] // groups)
    per_group = x.shape[3] // groups
    dtype = np.float32 if is_real(g) else np.int64
    sums = np.empty((groups, by_group.shape[2], *kernel, per_group), dtype=dtype)
    for kh, kw, view in window.taps(centred, outputs):
        columns = view.reshape(positions, groups, per_group)
        if is_real(g):
            sums[:, :, kh, kw] = _ordered_outer_products(by_group, columns)
        elif per_group == 1:
            # The products are below 2**23 and there are fewer than 2**17 positions.
            products = by_group.astype(np.int64) * columns
            sums[:, :, kh, kw, 0] = products.sum(axis=0)
        else:
            left = by_group.transpose(1, 2, 0).astype(np.float64)
            right = columns.transpose(1, 0, 2).astype(np.float64)
            sums[:, :, kh, kw] = np.matmul(left, right).astype(np.int64)
    return sums.reshape(g.shape[3], *kernel, per_group)


def _ordered_outer_products(g: np.ndarray, x: np.ndarray) -> np.ndarray:
    total = np.zeros((g.shape[1], g.shape[2], x.shape[2]), dtype=np.float32)
    for g_row, x_row in zip(g, x.astype(np.float32), strict=True):
        total += x_row[:, None, :] * g_row[:, :, None]
    return total


def bias_grad(g: np.ndarray) -> np.ndarray:
    """Sums of dB [O] from g [1,...,O]; float32 sums run over positions in order."""
    flat = g.reshape(-1, g.shape[-1])
    return sequential_sum(flat) if is_real(g) else flat.sum(axis=0, dtype=np.int64)


def sum_shift(positions: int, dtype: npt.DTypeLike) -> int:
    """q of a weight gradient: the smallest shift that brings positions * 255 * L below 2**31."""
    largest = positions * 255 * limit(dtype)
    return max((largest >> 31).bit_length(), 0)


def avg_pool2d_grad(
    g: np.ndarray,
    factors: np.ndarray,
    input_shape: tuple[int, ...],
    kernel: Pair,
    *,
    strides: Pair,
    padding: Padding = (0, 0, 0, 0),
    count_include_pad: bool = False,
) -> np.ndarray:
    """Sums of dX of a mean; entry count - 1 of `factors` belongs to a window of `count` taps.

    Float32 sums run over kh, kw.
    """
    window = SlidingWindow(kernel, strides, padding)
    counts = window.counts(input_shape[1], input_shape[2], include_pad=count_include_pad)
    scaled = pre(g, np.asarray(factors)[counts - 1])
    acc = np.zeros(window.padded_shape(input_shape), dtype=scaled.dtype)
    for _, _, view in window.taps(acc, (g.shape[1], g.shape[2])):
        view += scaled
    return window.crop(acc, input_shape[1], input_shape[2])


def max_pool2d_grad(
    g: np.ndarray,
    winner: np.ndarray,
    input_shape: tuple[int, ...],
    kernel: Pair,
    *,
    strides: Pair,
    padding: Padding = (0, 0, 0, 0),
) -> np.ndarray:
    """Sums of dX of a maximum (shift 0): g goes to the tap that won.

    Float32 sums run over kh, kw.
    """
    window = SlidingWindow(kernel, strides, padding)
    acc = np.zeros(window.padded_shape(input_shape), dtype=np.float32 if is_real(g) else np.int64)
    for kh, kw, view in window.taps(acc, (g.shape[1], g.shape[2])):
        view += np.where(winner == kh * kernel[1] + kw, g, g.dtype.type(0))
    return window.crop(acc, input_shape[1], input_shape[2])


def lookup_grad(g: np.ndarray, x: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Sums of dX of an activation (shift 14): g * D[x + 128], D int16 of round(2**14 * f')."""
    slope = table[x.astype(np.int64) + 128]
    if is_real(g):
        slope = slope.astype(F) * F(2.0**-14)
    result: np.ndarray = slope * (g if is_real(g) else g.astype(np.int64))
    return result


def multiply_grad(
    g: np.ndarray, other: np.ndarray, other_zero: int, mu: int, scale: float
) -> np.ndarray:
    """Sums of the gradient of the factor that has the shape of g, for `rescale64`.

    `other` is the other factor, int8, of zero point `other_zero`, and broadcasts against g; `mu`
    stands for its scale. Float32 gradients use `scale` itself, as the last factor.
    """
    centred = other.astype(np.int64) - other_zero
    if is_real(g):
        return g * centred.astype(F) * F(scale)
    return g.astype(np.int64) * centred * mu


def multiply_grad_broadcast(
    g: np.ndarray,
    other: np.ndarray,
    other_zero: int,
    mu: int,
    scale: float,
    *,
    per_channel: bool,
) -> np.ndarray:
    """Sums of the gradient of a factor that was broadcast: [C], or [1] when not `per_channel`.

    `other` has the shape of g, [...,C]; fewer than 2**24 elements keep the sums below 2**62.
    Float32 sums run over elements in order, and are scaled last.
    """
    channels = g.shape[-1] if per_channel else 1
    centred = other.astype(np.int64) - other_zero
    if is_real(g):
        products = (g * centred.astype(F)).reshape(-1, channels)
        return sequential_sum(products) * F(scale)
    result: np.ndarray = (g.astype(np.int64) * centred).reshape(-1, channels).sum(axis=0) * mu
    return result
