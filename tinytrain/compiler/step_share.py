"""Which share mu of its own sample's error a step should remove: the rate follows from it.

A step of rate r removes mu = r·K·h. Where errors are partly noise, a constant rate leaves an excess
of mu/(2 - mu) over the least mean square (Widrow and Hoff 1960; Haykin, Adaptive Filter Theory, on
misadjustment): what a network knows of everything else is shaken by as much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

KEEP = ("new", "old")
"""Which task counts: the new one alone, or the old one that the model ships with as well."""

LIMIT = 2.0
"""mu from which on a step makes the error of its own sample larger."""

SHARES = {"new": 1.0, "old": 0.15}
"""mu to begin with where the rate settles, by the task that counts: the whole error, which is the
fastest, or an excess of a twelfth."""

STEADY = 0.5
"""Times as much where the rate does not settle, so that the excess stays."""

MOST = 1.5
"""Below the limit, as K differs between samples."""

DOUBT = 0.8
"""Share of log C in the mean entropy of the predictions, from which on nothing shaped the head."""


@dataclass(frozen=True)
class Aim:
    """What a learning rate is for.

    Attributes:
        keep: which task counts, one of `KEEP`.
        settles: whether a schedule makes the rate small in the end.
        fresh_classes: C of a head that no training has shaped; 0 where it is shaped.
        heaviest: the largest weight of a class in the loss, by which its steps are longer.
    """

    keep: str = "new"
    settles: bool = False
    fresh_classes: int = 0
    heaviest: float = 1.0

    def share(self, curvature: float) -> float:
        """mu of the rate to begin with.

        A head that knows nothing holds all its C classes for equally likely, where the largest
        curvature of cross-entropy is 1/C; on its way to being certain it comes to the largest that
        there is. The geometric mean of both stands for that way.

        Args:
            curvature: h, the largest of the loss, in units of which mu counts.
        """
        share = SHARES[self.keep]
        if self.fresh_classes and self.keep == "new":
            share *= math.sqrt(max(curvature * self.fresh_classes, 1.0))
        share = min(share, MOST) * (1.0 if self.settles else STEADY)
        return min(share, LIMIT / self.heaviest)


PLAIN = Aim()
"""A head that stays, a constant rate, and the new task."""
