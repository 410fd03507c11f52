"""Sliding windows over NHWC maps, tap by tap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

Pair = tuple[int, int]
Padding = tuple[int, int, int, int]
"""(top, left, bottom, right)."""


@dataclass(frozen=True)
class SlidingWindow:
    """Geometry of a convolution or a pooling; `padding` is (top, left, bottom, right)."""

    kernel: Pair
    strides: Pair
    padding: tuple[int, int, int, int]
    dilation: Pair = (1, 1)

    def outputs(self, height: int, width: int) -> Pair:
        """Positions of the window over a map of height x width."""
        top, left, bottom, right = self.padding
        reach_h = self.dilation[0] * (self.kernel[0] - 1) + 1
        reach_w = self.dilation[1] * (self.kernel[1] - 1) + 1
        return (
            (height + top + bottom - reach_h) // self.strides[0] + 1,
            (width + left + right - reach_w) // self.strides[1] + 1,
        )

    def pad(self, x: np.ndarray, fill: float = 0) -> np.ndarray:
        """x [N,H,W,C] with `fill` around it."""
        top, left, bottom, right = self.padding
        if not any(self.padding):
            return x
        return np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)

    def crop(self, padded: np.ndarray, height: int, width: int) -> np.ndarray:
        """The inverse of `pad`."""
        top, left = self.padding[:2]
        return padded[:, top : top + height, left : left + width]

    def padded_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of `pad(x)` for x of `shape`."""
        top, left, bottom, right = self.padding
        return (shape[0], shape[1] + top + bottom, shape[2] + left + right, shape[3])

    def taps(self, padded: np.ndarray, outputs: Pair) -> Iterator[tuple[int, int, np.ndarray]]:
        """(kh, kw, view) row by row; view [N,out_h,out_w,C] is what that tap sees everywhere."""
        for kh in range(self.kernel[0]):
            rows = self._positions(kh, 0, outputs[0])
            for kw in range(self.kernel[1]):
                yield kh, kw, padded[:, rows, self._positions(kw, 1, outputs[1])]

    def _positions(self, tap: int, axis: int, count: int) -> slice:
        start = tap * self.dilation[axis]
        return slice(start, start + (count - 1) * self.strides[axis] + 1, self.strides[axis])

    def counts(self, height: int, width: int, *, include_pad: bool) -> np.ndarray:
        """Taps that a mean divides by at each position: int64 [1,out_h,out_w,1]."""
        outputs = self.outputs(height, width)
        if include_pad:
            return np.full((1, *outputs, 1), self.kernel[0] * self.kernel[1], dtype=np.int64)
        inside = self.pad(np.ones((1, height, width, 1), dtype=np.int64))
        total = np.zeros((1, *outputs, 1), dtype=np.int64)
        for _, _, view in self.taps(inside, outputs):
            total += view
        return total
