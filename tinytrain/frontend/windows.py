"""Padding of windows, as the formats say it in words."""

from __future__ import annotations

from collections.abc import Sequence

Padding = tuple[int, int, int, int]


def same_padding(
    extents: Sequence[int],
    kernel: Sequence[int],
    strides: Sequence[int],
    dilation: Sequence[int],
    *,
    lower: bool = False,
) -> Padding:
    """(top, left, bottom, right) for as many outputs as strides fit into (H, W).

    Args:
        lower: whether an odd element goes before the map (ONNX's SAME_LOWER), not after it.
    """
    before, after = [], []
    for extent, taps, stride, spread in zip(extents, kernel, strides, dilation, strict=True):
        reach = spread * (taps - 1) + 1
        total = max(0, (-(-extent // stride) - 1) * stride + reach - extent)
        first = -(-total // 2) if lower else total // 2
        before.append(first)
        after.append(total - first)
    return before[0], before[1], after[0], after[1]


def ceiling_padding(
    extents: Sequence[int], window: Sequence[int], strides: Sequence[int],
    dilation: Sequence[int], padding: Padding,
) -> Padding:  # fmt: skip
    """The padding with which rounding down gives as many outputs as rounding up does without.

    A window that would begin beyond the map and its padding before is not there (PyTorch, ONNX).
    """
    result = list(padding)
    for axis in range(2):
        reach = dilation[axis] * (window[axis] - 1) + 1
        before, after = padding[axis], padding[axis + 2]
        total = extents[axis] + before + after - reach
        outputs = -(-total // strides[axis]) + 1
        if (outputs - 1) * strides[axis] >= extents[axis] + before:
            outputs -= 1
        needed = (outputs - 1) * strides[axis] + reach - extents[axis] - before
        result[axis + 2] = max(after, needed)
    return result[0], result[1], result[2], result[3]
