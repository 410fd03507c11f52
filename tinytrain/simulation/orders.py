"""Streams that are not shuffled: as the file has them, sorted by class, or drifting."""

from __future__ import annotations

import numpy as np

ORDERS = ("shuffled", "as-is", "by-class", "drift")

CONTRAST_LOSS = 0.5
"""What a drift has taken of each value's distance from the zero point at its end."""

CAST = 32
"""Steps of the quantization by which a drift has shifted the channels at its end."""


def by_class(order: np.ndarray, labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """The same samples as `order` takes, sorted by class within each epoch.

    Args:
        order: of a shuffled stream, int64 [steps].
        labels: int [samples].
        seed: of the order of the classes.
    """
    count = len(labels)
    rank = np.argsort(np.random.RandomState(seed).permutation(classes))
    epochs = [order[start : start + count] for start in range(0, len(order), count)]
    sorted_epochs = [epoch[np.argsort(rank[labels[epoch]], kind="stable")] for epoch in epochs]
    return np.concatenate([np.empty(0, dtype=np.int64), *sorted_epochs])


def drifted(inputs: np.ndarray, progress: np.ndarray, zero_point: int) -> np.ndarray:
    """A camera in failing light and a filter growing on its lens, or a sensor's gain and bias.

    With p from 0 to 1 over the stream, z the zero point and c the channel,

        q' = clamp(round_half_even(z + (1 - p / 2)(q - z) + 32 p (-1)^c), -128, 127).

    Args:
        inputs: int8 [n, H, W, C].
        progress: p of each, float64 [n].
        zero_point: of the input's quantization.

    Returns:
        int8 [n, H, W, C].
    """
    p = progress.reshape(-1, 1, 1, 1)
    sign = np.where(np.arange(inputs.shape[3]) % 2 == 0, 1.0, -1.0)
    shifted = zero_point + (1.0 - CONTRAST_LOSS * p) * (inputs.astype(np.float64) - zero_point)
    changed: np.ndarray = np.clip(np.rint(shifted + CAST * p * sign), -128, 127).astype(np.int8)
    return changed
