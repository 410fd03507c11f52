"""Pooling, its gradients, and the integers that its kernels get; maps as in `convolution`.

Sections 2 and 4 of docs/arithmetic.md.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinytrain.ir.graph import Node
from tinytrain.reference.fixed_point import requantize, requantizers, store
from tinytrain.reference.gradients import is_real, pre
from tinytrain.reference.lowering import PRE_SHIFT, SUM_BOUND, Factors, quantization, scale_of
from tinytrain.reference.windows import Padding, Pair, SlidingWindow


# house(parameters): those of the kernel that it specifies
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
        return store(np.sign(total) * magnitude, 0, clamp)
    mantissas = np.asarray(multiplier, dtype=np.int64)[counts - 1]
    shifts = np.asarray(shift, dtype=np.int64)[counts - 1]
    return store(requantize(total, mantissas, shifts), zero, clamp)


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
    return store(best, 0, clamp), winner.astype(np.uint8)


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


def avg_pool2d_factors(area: int, smallest: int, windows: int) -> tuple[np.ndarray, int]:
    """(m, k) of a mean's dX: int16 [area], m[count - 1] = round(2**k / count).

    Args:
        area: taps of the whole window.
        smallest: the smallest count that occurs; entries of smaller counts are 0 and never read.
        windows: the most windows that read one input element.

    k is the largest for which every m <= 2**14 and every sum stays within 2**30.
    """
    counts = np.arange(1, area + 1, dtype=np.float64)
    for k in range(30, -1, -1):
        m = np.where(counts < smallest, 0.0, np.rint(2.0**k / counts))
        if np.max(m) <= 2**14 and windows * (float(np.max(m)) + 1) <= SUM_BOUND:
            return m.astype(np.int16), k
    raise ValueError(f"{windows} windows over one element")


def avg_pool_requant(node: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """(M, S) by count - 1; None where the quantization does not change."""
    x, y = node.inputs[0], node.output
    if quantization(x) == quantization(y):
        return None
    counts = np.arange(1, node.attrs["window"][0] * node.attrs["window"][1] + 1)
    return requantizers(scale_of(x) / (scale_of(y) * counts))


def avg_pool_factors(node: Node) -> Factors:
    """m[count] and c of an `avg_pool2d_grad` node, by count - 1."""
    kernel, strides = node.attrs["window"], node.attrs["strides"]
    _, height, width, _ = node.attrs["input_shape"]
    window = SlidingWindow(kernel, strides, node.attrs["padding"])
    counts = window.counts(height, width, include_pad=node.attrs["count_include_pad"])
    # An element lies in at most this many windows.
    windows = -(-kernel[0] // strides[0]) * -(-kernel[1] // strides[1])
    area = kernel[0] * kernel[1]
    m, k = avg_pool2d_factors(area, int(counts.min()), windows)
    real = (1.0 / np.arange(1, area + 1)).astype(np.float32)
    return Factors(m, real, k - PRE_SHIFT[node.inputs[0].type.dtype])
