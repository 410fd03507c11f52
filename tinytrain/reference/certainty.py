"""How certain a network is of what it predicts: what its loss's curvature depends on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def certainty(op: str, logits: Sequence[np.ndarray], targets: int) -> tuple[float, float]:
    """The `doubt` and the `margin` of a few samples: the mean, and the median.

    Args:
        op: operation of the loss.
        logits: of each sample, f32 of any shape; of several labels those of each together.
        targets: elements of a sample's target.
    """
    doubts = [doubt(op, one) for one in logits]
    return float(np.mean(doubts)), float(np.median([margin(op, one, targets) for one in logits]))


def doubt(op: str, logits: np.ndarray) -> float:
    """Entropy of the predicted classes as a share of the largest; 0 of a loss without classes."""
    if op != "softmax_cross_entropy":
        return 0.0
    shifted = logits.astype(np.float64).ravel()
    powers = np.exp(shifted - shifted.max())
    shares = np.maximum(powers / powers.sum(), 1e-30)
    return float(-np.sum(shares * np.log(shares)) / np.log(shares.size))


def margin(op: str, logits: np.ndarray, targets: int) -> float:
    """By how much the predicted class is ahead of the next, in logits; the median over labels.

    Returns:
        0 where the loss has a curvature that does not depend on it.
    """
    flat = logits.astype(np.float64)
    if op == "binary_cross_entropy":
        return float(np.median(np.abs(flat)))
    if op not in ("softmax_cross_entropy", "pixel_cross_entropy"):
        return 0.0
    ranked = np.sort(flat.reshape(targets, -1), axis=1)
    return float(np.median(ranked[:, -1] - ranked[:, -2]))
