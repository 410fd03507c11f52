"""How much what one sample teaches disturbs all others: what suits layers beside a fresh head.

A step on sample i moves the loss of sample j, to first order, by the rate times G_ij, the product
of their gradients. The suggested rate is about 1/K, with K the mean of G_ii over all that trains,
so that each step takes the same share off its own sample's error, whatever trains. How much it
disturbs the others is the mean square of G_ij over all pairs of different samples: the best set has
the largest

    log(K² / mean of G_ij²) + SIGNAL · (what the other layers win - what the head wins less)

G of a set is the sum of the tensors' own, measured by samples that a fresh head has learned. The
ratio says how many directions the samples use when they learn. Layers whose input has a large
mean, as the projections behind a ReLU, have few and disturb everything; layers that read what is
around zero, as the expansions do, have many. `choosing.shared_rate` says what layers win. They
keep a fresh head from learning: of the loss that it would take away, the share exp(-HEAD · k/K) is
left. Therefore it learns at a rate `OF_HEAD` times that of the others, which multiplies its k, and
all of them `RATE` times as fast as is suggested, which multiplies the exponents.

Source: G is the tangent kernel of Jacot, Gabriel and Hongler (NeurIPS 2018) along the samples'
errors; Fort et al., "Stiffness: A New Perspective on Generalization in Neural Networks", 2019, take
its pairs for interference. docs/choosing.md has how well the value tells schemes apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.choosing.climb import climb
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.shared_rate import STEPS, SharedRate

HEAD = 22.0
"""T/d of a fresh head, chosen with `NAT` by the losses that the schemes of one search came to:
MCUNet-5FPS on CIFAR-10."""

NAT = 12.0
"""What a nat of the loss that a fresh head takes away counts, in units of q · d."""

RATE, OF_HEAD = 2.0, 4.0
"""Factors on the suggested rate, and on that of a fresh head beside it: what searches chose most
often for the schemes that they found."""

SIGNAL = 0.15
"""What a unit of gain counts: of the weights from 0 to 1 the one at which the values order the
schemes of two searches most as their losses do."""

_CHUNK = 4096
"""Sets that are valued at a time, so that they take little memory."""


class Interference:
    """The value of each scheme that can be chosen, beside a fresh head.

    Args:
        worth: measured with a head that learned the samples, with `interference`.
        signal: what a unit of gain counts.

    Attributes:
        choices: those schemes.
        rate, of_head: factors on the suggested rate, and on that of the head beside other layers.
    """

    rate, of_head = RATE, OF_HEAD

    def __init__(self, choices: Choices, worth: Worth, *, signal: float = SIGNAL) -> None:
        assert worth.interference is not None, "a fresh head learned the samples"
        self.choices, self._signal, self._fresh = choices, signal, NAT * worth.fallen
        self._pairs, shared = worth.interference, SharedRate(choices, worth)
        place = {layer: 2 * k for k, layer in enumerate(worth.layers)}
        body = set(choices.layers)
        # Of each tensor what part of it trains, its signal, its energy, its directions.
        head = np.zeros((4, 2 * len(place)))
        head[3] = 1.0
        for layer in place.keys() - body:
            at = slice(place[layer], place[layer] + 2)
            head[0, at] = self.of_head
            head[2, at] = self.of_head * np.array(worth.spread.get(layer, (0.0, 0.0)))
        self._kernel = float(head[2].sum())
        self._biases = {0: head}
        for count in choices.counts[1:]:
            layer = choices.layers[-count]
            tensor, with_one = shared.biases[layer], self._biases[count - 1].copy()
            if layer in place:
                found = (1.0, tensor.signal, tensor.energy, tensor.directions)
                with_one[:, place[layer] + 1] = found
            self._biases[count] = with_one
        self._weights = {
            (layer, ratio): (
                place[layer],
                (worth.share(layer, ratio), tensor.signal, tensor.energy, tensor.directions),
            )
            for (layer, ratio), tensor in shared.weights.items()
            if layer in place
        }
        alone = float(self._of([head])[0])
        self._alone = alone if math.isfinite(alone) else 0.0

    def _trained(self, count: int, ratios: Ratios) -> np.ndarray:
        found = self._biases[count].copy()
        for item in ratios.items():
            if item in self._weights:
                place, tensor = self._weights[item]
                found[:, place] = tensor
        return found

    def _of(self, sets: Sequence[np.ndarray]) -> np.ndarray:
        """The value of each of several sets, f64; not finite where nothing has a gradient."""
        part, signal, energy, directions = np.moveaxis(np.stack(sets), 1, 0)
        kernel = energy.sum(axis=1)
        pairs = np.sum((part @ self._pairs) * part, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            curvature = energy / directions / kernel[:, None]
            wins = np.sum(signal * -np.expm1(-STEPS * self.rate * curvature), axis=1)
            fast = HEAD * self.rate
            lost = self._fresh * (np.exp(-fast * self._kernel / kernel) - math.exp(-fast))
            value = 2 * np.log(kernel) - np.log(pairs) + self._signal * (wins - lost)
        return np.asarray(value)

    @cached_property
    def whole(self) -> float:
        """What the best set without a budget is worth; above 0."""
        found = climb(self.choices, self.gains, {}, ())
        return found[1] if found is not None and found[1] > 0.0 else 1.0

    def gain(self, count: int, ratios: Ratios) -> float:
        """What a scheme is worth beyond its head alone."""
        return self.gains([(count, ratios)])[0]

    def gains(self, schemes: Sequence[tuple[int, Ratios]]) -> list[float]:
        """The same of several; rounded, so that the last digit decides nothing."""
        found: list[float] = []
        for first in range(0, len(schemes), _CHUNK):
            some = [self._trained(*one) for one in schemes[first : first + _CHUNK]]
            found += (self._of(some) - self._alone).tolist()
        return [
            0.0 if not count else round(one, 9) if math.isfinite(one) else -math.inf
            for one, (count, _) in zip(found, schemes, strict=True)
        ]

    def alone(self, layer: str) -> tuple[float, float]:
        """What a layer's weights add to all biases from there on, and its bias to those behind it.

        Neither is below 0; both are 0 where nothing can train or has a gradient.
        """
        reach = self.choices.reach(layer)
        if reach not in self._biases:
            return 0.0, 0.0
        possible = self.choices.ratios.get(layer, (0.0,))
        before, biases, both = self.gains(
            [(reach - 1, {}), (reach, {}), (reach, {layer: possible[-1]})]
        )
        if not all(map(math.isfinite, (before, biases, both))):
            return 0.0, 0.0
        return max(both - biases, 0.0), max(biases - before, 0.0)
