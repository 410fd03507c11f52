"""How much less a choice gains the more was gained before it, learned from what was measured.

Layers that train do much the same work, so gains do not add up: a choice that gains `a` by itself
gains a * (1 - G / C) where G was gained before, and no set gains more than the ceiling C. That is
the simplest curve with diminishing returns, dG = (1 - G / C) dA, and one number says it all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import median

Choice = tuple[str, float]
"""A layer and the ratio of its weights that trains."""

_STEPS = 200
"""Ceilings that are tried."""


class Saturation:
    """Expected gains of choices.

    Args:
        prior: of each choice by itself, before anything is measured, in any unit: only what gains
            more than what else counts. Fisher information, as a rule.
    """

    def __init__(self, prior: Mapping[Choice, float]) -> None:
        self._prior = prior
        self._seen: dict[Choice, list[tuple[float, float]]] = {}
        self._inverse = 0.0

    @property
    def ceiling(self) -> float | None:
        """C: what no set gains more than; None as long as nothing was seen to saturate."""
        return 1.0 / self._inverse if self._inverse > 0.0 else None

    def learn(self, choice: Choice, gained: float, gain: float) -> None:
        """Takes in a measurement.

        Args:
            gained: G, what was gained before the choice.
            gain: what the choice added; one that is not finite says that it added nothing.
        """
        gained, gain = (one if math.isfinite(one) else 0.0 for one in (gained, gain))
        self._seen.setdefault(choice, []).append((gained, gain))
        largest = max(
            before + max(more, 0.0) for seen in self._seen.values() for before, more in seen
        )
        if largest <= 0.0:
            return
        # Of ceilings that fit alike the highest: what is promised too much is measured again.
        tried = (step / _STEPS / largest for step in range(_STEPS))
        self._inverse = min(tried, key=lambda inverse: (round(self._misfit(inverse), 12), inverse))

    def expect(self, choice: Choice, gained: float) -> float:
        """What a choice adds where so much was gained before it.

        A choice that was measured keeps what it had, less what saturates since. Another one has its
        prior, in the unit that measured ones of the same layer say, or else all.
        """
        alone = self._alone(choice)
        if alone is None:
            return self._unit(choice[0]) * self._prior.get(choice, 0.0) * self._left(gained)
        return alone * self._left(gained)

    def _left(self, gained: float) -> float:
        return max(0.0, 1.0 - gained * self._inverse)

    def _alone(self, choice: Choice) -> float | None:
        """What a choice gains by itself, as it was measured last; None if it never was."""
        if choice not in self._seen:
            return None
        gained, gain = self._seen[choice][-1]
        left = self._left(gained)
        return gain / left if left > 0.0 else gain

    def _unit(self, layer: str) -> float:
        """What one unit of the prior gains: the upper half of what was seen, so that a layer is not
        left out for the sake of others; 1 before anything was."""
        of_layer, of_all = [], []
        for choice in self._seen:
            alone, prior = self._alone(choice), self._prior.get(choice, 0.0)
            if alone is not None and prior > 0.0:
                of_all.append(alone / prior)
                if choice[0] == layer:
                    of_layer.append(alone / prior)
        if of_layer:
            return max(of_layer[-1], 0.0)
        if not of_all:
            return 1.0
        middle = median(of_all)
        return max(median([unit for unit in of_all if unit >= middle]), 0.0)

    def _misfit(self, inverse: float) -> float:
        """Squared errors of all measurements of choices that were measured where different amounts
        had been gained, each with the gain by itself that fits best."""
        total = 0.0
        for seen in self._seen.values():
            left = [1.0 - gained * inverse for gained, _ in seen]
            square = sum(each * each for each in left)
            alone = sum(each * gain for each, (_, gain) in zip(left, seen, strict=True)) / square
            total += sum(
                (gain - alone * each) ** 2 for each, (_, gain) in zip(left, seen, strict=True)
            )
        return total
