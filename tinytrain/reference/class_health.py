"""Which classes come, and which are predicted: docs/arithmetic.md section 12."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.types import DType

F = np.float32

MOST_CLASSES = 256
"""Beyond so many classes nothing is counted: 8 bytes of RAM for each would be too much."""

LEAST_WINDOW = 256
ENOUGH = 8
"""Steps with a label below which the predictions of its class say nothing."""

FADE_STEPS = 16.0
"""Steps times mu, the share of its error that a step removes, after which a class that does not
come fades; docs/training.md has what was measured."""

WELL, ABSENT, FADING = "well", "absent", "fading"
"""`tt_class_trend` of tinytrain.h, in its order."""


def counted_classes(graph: Graph) -> int:
    """Classes of a training graph that are counted; 0 where samples have none, or too many."""
    if graph.target is None or graph.target.type.dtype is not DType.S32:
        return 0
    classes = max(2, graph.outputs[1].type.size)
    return classes if classes <= MOST_CLASSES else 0


@dataclass
class ClassCounts:
    """Of one class, in training steps; the first three are halved as history fades.

    Attributes:
        labels: steps on samples with its label.
        right: of these, steps that predicted it before the update.
        predictions: steps that predicted it.
        since: steps since its label came last, or since the beginning; stays at 65,535.
    """

    labels: int = 0
    right: int = 0
    predictions: int = 0
    since: int = 0


def count_step(counts: Sequence[ClassCounts], label: int, prediction: int) -> None:
    """One more step."""
    for one in counts:
        one.since = min(one.since + 1, 2**16 - 1)
    if sum(one.labels for one in counts) >= max(32 * len(counts), LEAST_WINDOW):
        for one in counts:
            one.labels >>= 1
            one.right >>= 1
            one.predictions >>= 1
    counts[label].labels += 1
    counts[label].right += prediction == label
    counts[label].since = 0
    counts[prediction].predictions += 1


def absent_after(classes: int, fade: float, rate: np.float32) -> int:
    """Steps without a class after which it fades.

    Args:
        fade: the same at a learning rate of 1, float32.
        rate: of the next step.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = F(fade) / F(rate)
    return max(int(steps) if steps < 65535 else 2**16 - 1, 8 * classes)


def trend(counts: Sequence[ClassCounts], label: int, after: int) -> str:
    """`WELL`, `ABSENT` or `FADING`; after: from `absent_after`."""
    own, steps = counts[label], sum(one.labels for one in counts)
    # A class that is rare is absent after four times its usual interval.
    if own.since >= after and (own.labels < 2 or own.since * own.labels >= 4 * steps):
        return ABSENT
    return FADING if own.labels >= ENOUGH and 4 * own.predictions < own.labels else WELL
