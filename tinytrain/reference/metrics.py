"""Running accuracy, loss and early stop in float32, as `runtime_c/src/tt_metrics.c` has them."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import loss_index

F = np.float32
_LOWEST = F(-np.finfo(np.float32).max)
VERDICTS = ("waiting", "improved", "stop")
"""`tt_verdict` of tinytrain.h, by value."""


@dataclass
class Metrics:
    """Of the samples added so far.

    Attributes:
        count, correct: samples, and those whose prediction was their label.
        loss: the mean, 0 before the first sample.
    """

    count: int = 0
    correct: int = 0
    loss: np.float32 = field(default_factory=lambda: F(0))

    def add(self, loss: np.float32, *, is_correct: bool) -> None:
        """One more sample."""
        self.count += 1
        self.correct += is_correct
        with np.errstate(invalid="ignore"):
            self.loss = self.loss + (loss - self.loss) / F(self.count)

    @property
    def accuracy(self) -> np.float32:
        """Share of correct predictions; 0 before the first sample."""
        return F(self.correct) / F(self.count) if self.count else F(0)


@dataclass
class EarlyStop:
    """Compares scores, of which a larger one is better.

    Attributes:
        patience: evaluations in a row without a better score that end training; 0 never does.
        min_delta: by how much a score has to be better to count.
        best: the best score so far.
        waited: evaluations since then.
    """

    patience: int
    min_delta: np.float32 = field(default_factory=lambda: F(0))
    best: np.float32 = field(default_factory=lambda: _LOWEST)
    waited: int = 0

    def add(self, score: np.float32) -> str:
        """One of `VERDICTS`; a score that is not finite is never better."""
        if self.best + self.min_delta < score < np.inf:
            self.best, self.waited = score, 0
            return "improved"
        self.waited = min(self.waited + 1, 2**16 - 1)
        return "stop" if 0 < self.patience <= self.waited else "waiting"


def right_of(graph: Graph, output: np.ndarray, wanted: np.ndarray) -> int | None:
    """How many pixels or labels of a sample are right; None where neither is predicted."""
    op = graph.nodes[loss_index(graph)].op
    if op == "pixel_cross_entropy":
        return int(np.sum(output.reshape(wanted.size, -1).argmax(axis=1) == wanted.ravel()))
    if op == "binary_cross_entropy":
        return int(np.sum((output.ravel() > 0) == (wanted.ravel() > 0.5)))
    return None
