"""Forward kernels: docs/arithmetic.md section 2.

Maps are int8 [N,H,W,C]; N is 1 on the device and may be larger here, each sample on its own.
`strides` and `dilation` are (rows, columns), `padding` is (top, left, bottom, right), `clamp` is
(lowest, highest) output. `multiplier` and `shift` are what `fixed_point.multiplier` gives.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinytrain.reference.fixed_point import requantize
from tinytrain.reference.windows import Pair, SlidingWindow

Padding = tuple[int, int, int, int]


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
    return _store(requantize(acc, multiplier, shift), zero, clamp)


def _store(values: np.ndarray, zero: int, clamp: Pair) -> np.ndarray:
    result: np.ndarray = np.clip(values + zero, clamp[0], clamp[1]).astype(np.int8)
    return result


def add(
    a: np.ndarray,
    b: np.ndarray,
    a_zero: int,
    b_zero: int,
    factors: Pair,
    shift: int,
    zero: int,
    clamp: Pair,
) -> np.ndarray:
    """a + b, int8 of one shape. `factors` are those of a and b, below 2**21, in 2**-shift."""
    left = (a.astype(np.int64) - a_zero) * factors[0]
    right = (b.astype(np.int64) - b_zero) * factors[1]
    return _store((left + right + (1 << (shift - 1))) >> shift, zero, clamp)


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    a_zero: int,
    b_zero: int,
    multiplier: int,
    shift: int,
    zero: int,
    clamp: Pair,
) -> np.ndarray:
    """a * b, int8; b broadcasts against a."""
    product = (a.astype(np.int64) - a_zero) * (b.astype(np.int64) - b_zero)
    return _store(requantize(product, multiplier, shift), zero, clamp)


def avg_pool2d(
    x: np.ndarray,
    x_zero: int,
    kernel: Pair,
    clamp: Pair,
    *,
    strides: Pair,
    padding: Padding = (0, 0, 0, 0),
    count_include_pad: bool = False,
    multiplier: npt.ArrayLike | None = None,
    shift: npt.ArrayLike | None = None,
    zero: int = 0,
) -> np.ndarray:
    """Mean over a window: int8 [N,out_h,out_w,C].

    Without `multiplier` the output has the quantization of the input. With it, entry count - 1 of
    `multiplier` and `shift` belongs to a window of `count` taps. `count_include_pad` counts the
    taps in the padding too, as elements of real value 0.
    """
    window = SlidingWindow(kernel, strides, padding)
    outputs = window.outputs(x.shape[1], x.shape[2])
    centred = window.pad(x.astype(np.int64) - x_zero)
    total = np.zeros((x.shape[0], *outputs, x.shape[3]), dtype=np.int64)
    for _, _, view in window.taps(centred, outputs):
        total += view
    counts = window.counts(x.shape[1], x.shape[2], include_pad=count_include_pad)
    if multiplier is None or shift is None:
        total += counts * x_zero
        magnitude = (np.abs(total) + counts // 2) // counts
        return _store(np.sign(total) * magnitude, 0, clamp)
    mantissas = np.asarray(multiplier, dtype=np.int64)[counts - 1]
    shifts = np.asarray(shift, dtype=np.int64)[counts - 1]
    return _store(requantize(total, mantissas, shifts), zero, clamp)


def max_pool2d(
    x: np.ndarray, kernel: Pair, clamp: Pair, *, strides: Pair, padding: Padding = (0, 0, 0, 0)
) -> tuple[np.ndarray, np.ndarray]:
    """Largest element of each window, and which tap won.

    Returns:
        int8 [N,out_h,out_w,C], and uint8 of the same shape: kh * KW + kw of the first largest tap
        (modulo 256: only kernels of at most 256 taps are trained through).
    """
    window = SlidingWindow(kernel, strides, padding)
    outputs = window.outputs(x.shape[1], x.shape[2])
    # -129 lies below every s8, so padding never wins, not even over -128.
    padded = window.pad(x.astype(np.int16), -129)
    best = np.full((x.shape[0], *outputs, x.shape[3]), -129, dtype=np.int16)
    winner = np.zeros(best.shape, dtype=np.int64)
    for kh, kw, view in window.taps(padded, outputs):
        larger = view > best
        best = np.where(larger, view, best)
        winner = np.where(larger, kh * kernel[1] + kw, winner)
    return _store(best, 0, clamp), winner.astype(np.uint8)


def lookup(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """table[x + 128] for a table of 256 entries; the dtype is the table's."""
    return table[x.astype(np.int64) + 128]


def gather_channels(x: np.ndarray, channels: npt.ArrayLike) -> np.ndarray:
    """The listed indices of the last axis."""
    return np.ascontiguousarray(x[..., np.asarray(channels, dtype=np.int64)])


def transpose(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Axes permuted: output axis k is input axis axes[k]."""
    return np.ascontiguousarray(np.transpose(x, axes))


def dequantize(x: np.ndarray, zero: int, scale: npt.ArrayLike) -> np.ndarray:
    """f32(x - zero) * f32(scale), one rounding each; x int8 or int32, scale for each last index."""
    centred = (x.astype(np.int64) - zero).astype(np.float32)
    return centred * np.asarray(scale, dtype=np.float32)


def quantize(x: np.ndarray, zero: int, scale: float) -> np.ndarray:
    """clamp8(round_half_even(x / scale) + zero), x float32; NaN gives `zero`."""
    with np.errstate(over="ignore"):
        ratio = x.astype(np.float32) / np.float32(scale)
    rounded = np.rint(np.clip(np.where(np.isnan(ratio), np.float32(0), ratio), -512, 512))
    result: np.ndarray = np.clip(rounded.astype(np.int64) + zero, -128, 127).astype(np.int8)
    return result


def clamp_mask(y: np.ndarray, clamp: Pair) -> np.ndarray:
    """Bits lo < y < hi of all elements in order, packed eight to a byte, least significant first.

    Returns:
        uint8 [ceil(y.size / 8)]; unused bits are 0.
    """
    return np.packbits((y > clamp[0]) & (y < clamp[1]), axis=None, bitorder="little")
