"""Which share mu of its own sample's error a step should remove: the rate follows from it.

A step of rate r removes mu = r·K·h, with h the largest curvature of the loss by the outputs. Where
errors are partly noise, a constant rate leaves an excess of mu/(2 - mu) over the least mean square
(Widrow and Hoff 1960; Haykin, Adaptive Filter Theory, on misadjustment): what a network knows of
everything else is shaken by as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

KEEP = ("new", "old")
"""Which task counts: the new one alone, or the old one that the model ships with as well."""

LIMIT = 2.0
"""mu from which on a step makes the error of its own sample larger, at the largest curvature."""

SHARES = {"new": 0.5, "old": 0.1}
"""mu by the task that counts: an excess of a third, or of a twentieth."""

MOST_SETTLING = 1.5
"""Of mu at the largest curvature where the rate settles; K differs between samples."""

MOST_STEADY = 0.5
"""The same where it does not settle, so that the excess stays."""

DOUBT = 0.8
"""Share of log C in the mean entropy of the predictions, from which on nothing shaped the head."""


@dataclass(frozen=True)
class Aim:
    """What a learning rate is for, and how certain the network is before it trains.

    Attributes:
        keep: which task counts, one of `KEEP`.
        settles: whether a schedule makes the rate small in the end.
        fresh_classes: C of a head that no training has shaped; 0 where it is shaped.
        heaviest: the largest weight of a class in the loss, by which its steps are longer.
        margin: m, by how much the logit of the predicted class is ahead of the next.
    """

    keep: str = "new"
    settles: bool = False
    fresh_classes: int = 0
    heaviest: float = 1.0
    margin: float = 0.0

    def share(self, curvature: float) -> float:
        """mu of the rate to begin with, at the largest curvature of the loss.

        Args:
            curvature: that one, h.
        """
        most = MOST_SETTLING if self.settles else MOST_STEADY
        return min(SHARES[self.keep] * self.relief(curvature), most, LIMIT / self.heaviest)

    def relief(self, curvature: float) -> float:
        """How many times smaller than the largest the curvature is on the way of an output.

        A network that is certain is wrong by its margin, and has to be right by as much. From -m to
        m the slope of the loss changes by tanh(m/2) of all, so that the mean curvature is
        tanh(m/2)/(m/2) of the largest. A head that knows nothing begins where all C classes are
        equally likely, with a curvature of 1/C.
        """
        if self.fresh_classes and self.keep == "new":
            return max(curvature * self.fresh_classes, 1.0)
        half = self.margin / 2
        return half / math.tanh(half) if half > 1e-3 else 1.0


PLAIN = Aim()
"""A head that stays, a constant rate, and the new task."""
