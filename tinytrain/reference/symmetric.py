"""Symmetric s8 weights, one scale for each output channel."""

from __future__ import annotations

import numpy as np


def symmetric_weights(real: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Quantizes real weights [O, ...].

    The scale of a channel maps its largest magnitude to 127, so that nothing saturates and -128 is
    left out. A channel of zeros has scale 1. Source: Jacob et al., arXiv:1712.05877, section 3.

    Returns:
        int8 of the same shape, and float32 scales [O].
    """
    rows = np.asarray(real, dtype=np.float64).reshape(real.shape[0], -1)
    largest = np.abs(rows).max(axis=1)
    scales = np.where(largest > 0, largest / 127, 1.0).astype(np.float32)
    # Denormal scales would have few bits; weights below 127 * 2**-126 are zero for every purpose.
    scales = np.maximum(scales, np.finfo(np.float32).tiny)
    integers = np.clip(np.rint(rows / scales[:, None].astype(np.float64)), -127, 127)
    return integers.astype(np.int8).reshape(real.shape), scales
