"""Integers to real numbers and back; docs/arithmetic.md section 2."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


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
