"""What a sample of a class counts for in the loss: docs/arithmetic.md section 3."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType

F = np.float32

BALANCED = "balanced"
"""Weights from how often each class came, counted as the model learns."""

LEAST, MOST = 0.25, 4.0
"""Bounds of a weight that is counted. From the suggested learning rate to that from where on a step
overshoots is a factor of 4, so the rarest class does not overshoot at the suggested rate."""

MAX_CLASSES = 2**16 - 1
"""Whose counts add up to less than 2**32."""


def initial_counts(graph: Graph) -> np.ndarray | None:
    """Counts of the labels, uint16 [classes]; None for a graph whose weights are not counted."""
    loss = next((node for node in graph.nodes if role_of(node) is Role.LOSS), None)
    if loss is None or loss.attrs.get("class_weights") != BALANCED:
        return None
    assert loss.inputs[1].type.dtype is DType.S32, "labels are counted"
    return np.zeros(max(2, loss.inputs[0].type.size), np.uint16)


def balanced_weight(counts: np.ndarray, label: int) -> np.float32:
    """The weight of a sample: N/(P*n), for n of N samples with its label and P classes that came.

    Source: King and Zeng, "Logistic Regression in Rare Events Data", 2001, with the sample itself
    and one of each class added to the counts.

    Args:
        counts: uint16 [classes], of the samples before it.
    """
    whole = counts.astype(np.int64)
    present = int(np.count_nonzero(whole)) + int(whole[label] == 0)
    weight = F(int(whole.sum()) + present) / F(present * (int(whole[label]) + 1))
    return F(min(max(weight, F(LEAST)), F(MOST)))


def count_class(counts: np.ndarray, label: int) -> None:
    """One more sample, in place; from a window of samples on, all counts are halved first."""
    if int(counts.sum(dtype=np.int64)) >= min(max(8 * counts.size, 1024), 32768):
        counts >>= 1
    counts[label] += 1
