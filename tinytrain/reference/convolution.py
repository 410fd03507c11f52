"""Convolution, its gradients, and the integers that its kernels get.

Sections 2 and 4 of docs/arithmetic.md. Maps are int8 [N,H,W,C], gradients [1,H,W,C]; N is 1 on the
device and may be larger in the forward pass here, each sample on its own. `strides` and `dilation`
are (rows, columns), `padding` is (top, left, bottom, right), `clamp` is (lowest, highest) output.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinytrain.ir.graph import Value
from tinytrain.ir.types import DType
from tinytrain.reference.fixed_point import requantize, requantizers, store
from tinytrain.reference.gradients import is_real, pre
from tinytrain.reference.loss import sequential_sum
from tinytrain.reference.lowering import (
    LARGEST_MULTIPLIER,
    PRE_SHIFT,
    SUM_BOUND,
    Factors,
    quantization,
    scale_of,
)
from tinytrain.reference.windows import Padding, Pair, SlidingWindow


def conv2d_s32(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    x_zero: int,
    *,
    strides: Pair = (1, 1),
    padding: Padding = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """The accumulators of a convolution: int32 [N,out_h,out_w,O].

    Args:
        x: int8 [N,H,W,I].
        w: int8 [O,KH,KW,I/groups].
        b: int32 [O].
        x_zero: zero point of x; padding holds it, so that it adds nothing.

    At most 32,768 products a sum keep every accumulator below 2**31; float64 holds each partial sum
    exactly, in whatever order the matrix product takes.
    """
    window = SlidingWindow((w.shape[1], w.shape[2]), strides, padding, dilation)
    outputs = window.outputs(x.shape[1], x.shape[2])
    centred = window.pad(x.astype(np.int16) - np.int16(x_zero))
    if w.shape[3] == 1 and groups > 1:
        acc = _depthwise(window, outputs, centred, w)
    else:
        acc = _grouped(window, outputs, centred, w, groups)
    result: np.ndarray = (acc + b).astype(np.int32)
    return result


def _depthwise(
    window: SlidingWindow, outputs: Pair, centred: np.ndarray, w: np.ndarray
) -> np.ndarray:
    per_channel = w.shape[0] // centred.shape[3]
    weights = w.astype(np.int32)
    acc = np.zeros((centred.shape[0], *outputs, w.shape[0]), dtype=np.int32)
    for kh, kw, view in window.taps(centred, outputs):
        acc += np.repeat(view, per_channel, axis=3) * weights[:, kh, kw, 0]
    return acc


def _grouped(
    window: SlidingWindow, outputs: Pair, centred: np.ndarray, w: np.ndarray, groups: int
) -> np.ndarray:
    batch, (out, k_h, k_w, per_group) = centred.shape[0], w.shape
    positions = batch * outputs[0] * outputs[1]
    columns = np.empty((positions, k_h * k_w, groups, per_group), dtype=np.float64)
    for kh, kw, view in window.taps(centred, outputs):
        columns[:, kh * k_w + kw] = view.reshape(positions, groups, per_group)
    left = columns.transpose(2, 0, 1, 3).reshape(groups, positions, k_h * k_w * per_group)
    right = w.reshape(groups, out // groups, -1).transpose(0, 2, 1).astype(np.float64)
    acc = np.matmul(left, right).transpose(1, 0, 2)
    result: np.ndarray = acc.reshape(batch, *outputs, out).astype(np.int64)
    return result


# house(parameters): those of the kernel that it specifies
def conv2d(
    x: np.ndarray,
    w: np.ndarray,
    b: np.ndarray,
    x_zero: int,
    multiplier: npt.ArrayLike,
    shift: npt.ArrayLike,
    zero: int,
    clamp: Pair,
    *,
    strides: Pair = (1, 1),
    padding: Padding = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    """Convolution, depthwise (groups == I) included: int8 [N,out_h,out_w,O].

    `multiplier` and `shift` have an entry for each output channel (or one for all); the rest is as
    in `conv2d_s32`.
    """
    acc = conv2d_s32(
        x, w, b, x_zero, strides=strides, padding=padding, dilation=dilation, groups=groups
    )
    return store(requantize(acc, multiplier, shift), zero, clamp)


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


def conv2d_factors(scale: npt.ArrayLike, taps: int, groups: int = 1) -> tuple[np.ndarray, int]:
    """(m, k) of a convolution's dX: int16 [O], m[o] = round(scale[o] * 2**k).

    Args:
        scale: s_w, float [O].
        taps: the most taps that read one input element (KH * KW is always enough; 1 for dense).
        groups: the bound holds for the sum over the output channels of each group.

    k is the largest integer, at most 30, that keeps 0 <= m <= 32767 and every sum within 2**30.
    """
    scales = np.asarray(scale, dtype=np.float64).reshape(groups, -1)
    for k in range(30, -200, -1):
        m = np.rint(scales * 2.0**k)
        worst = taps * 128 * float(np.max(np.sum(m + 1, axis=1)))
        if np.max(m) <= 32767 and worst <= SUM_BOUND:
            return m.ravel().astype(np.int16), k
    raise ValueError(f"no power of two brings scales up to {np.max(scales)} into the sum's range")


def conv_requant(x: Value, w: Value, y: Value) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) for each output channel of a convolution."""
    real = scale_of(x) * quantization(w).scales(w.type.shape[0]) / scale_of(y)
    return requantizers(np.minimum(real, LARGEST_MULTIPLIER))


def bias_requant(b: Value, y: Value) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) for each output channel of a bias in other units."""
    count = b.type.shape[0]
    return requantizers(quantization(b).scales(count) / quantization(y).scales(count))


def rescale_bias(b: np.ndarray, m: np.ndarray, s: np.ndarray) -> np.ndarray:
    """A bias int32 [O] in the units of another layer: docs/arithmetic.md section 2."""
    return requantize(b, m, s).astype(np.int32)


def conv_factors(w: Value, groups: int, dtype: DType) -> Factors:
    """m[o] and c of a convolution's dX."""
    scales = quantization(w).scales(w.type.shape[0])
    m, k = conv2d_factors(scales, w.type.shape[1] * w.type.shape[2], groups)
    return Factors(m, scales.astype(np.float32), k - PRE_SHIFT[dtype])
