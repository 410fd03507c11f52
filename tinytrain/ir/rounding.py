"""How what an update has to cut off is rounded."""

from __future__ import annotations

import enum


class Rounding(enum.StrEnum):
    """The rounding of an update, as options and attributes of nodes spell it."""

    NEAREST = "nearest"
    """To the nearest integer, a tie up."""
    STOCHASTIC = "stochastic"
    """Up with a probability of what is cut off, so that the mean of many updates is exact."""

    @property
    def is_random(self) -> bool:
        """Whether it draws a random number for each element."""
        return self is Rounding.STOCHASTIC
