"""Operations that change no element, only where it is; docs/arithmetic.md section 2."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def gather_channels(x: np.ndarray, channels: npt.ArrayLike) -> np.ndarray:
    """The listed indices of the last axis."""
    return np.ascontiguousarray(x[..., np.asarray(channels, dtype=np.int64)])


def transpose(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Axes permuted: output axis k is input axis axes[k]."""
    return np.ascontiguousarray(np.transpose(x, axes))
