"""How much what one sample teaches disturbs all others: what suits a fresh head's other layers.

A step on sample i moves the loss of sample j, to first order, by the rate times G_ij, the product
of their gradients. The suggested rate is about 1/K, with K the mean of G_ii over all that trains,
so that each step takes the same share off its own sample's error, whatever trains. What is left
to choose is how much it disturbs the others, the mean square of G_ij over all pairs. So the best
set has the largest

    log K² / mean of G_ij² - SLOWED · log K / K_head

G of a set is the sum of the tensors' own, measured by samples that a fresh head has learned: the
mean gradient then says little, and noise rules. The second term is for that head, which learns
slower the less of K it has. K² over the mean of G_ij² is the participation ratio of G
without its diagonal: of how many directions the samples use when they learn. Layers whose input
has a large mean, as the projections behind a ReLU, have few and disturb everything; layers that
read what is around zero, as the expansions do, have many.

Source: the tangent kernel of Jacot, Gabriel and Hongler (NeurIPS 2018), whose rows these are; the
pairs' products as a measure of interference are those of Fort et al., "Stiffness: A New Perspective
on Generalization in Neural Networks", 2019. docs/choosing.md has how well it tells schemes apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property

import numpy as np

from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.choosing.climb import climb
from tinytrain.choosing.fisher import Worth

SLOWED = 0.4
"""What e times less of K costs a fresh head, in the same unit: of 0 to 2 the one by which the
schemes of two searches come nearest to the order of their losses."""

RATE, OF_HEAD = 2.0, 4.0
"""Factors on the suggested rate, and on that of a fresh head beside it: what searches chose most
often for the schemes that they found."""


class Interference:
    """The value of each scheme that can be chosen, beside a fresh head.

    Args:
        worth: measured with the head that learned the samples, with `interference`.
        slowed: weight of the second term.

    Attributes:
        choices: those schemes.
        rate, of_head: factors on the suggested rate, and on that of the head beside other layers.
    """

    rate, of_head = RATE, OF_HEAD

    def __init__(self, choices: Choices, worth: Worth, *, slowed: float = SLOWED) -> None:
        assert worth.interference is not None, "a fresh head learned the samples"
        self.choices, self._slowed = choices, slowed
        self._pairs = worth.interference
        self._place = {layer: 2 * k for k, layer in enumerate(worth.layers)}
        self._energy = np.array(
            [worth.spread.get(layer, (0.0, 0.0)) for layer in worth.layers]
        ).ravel()
        self._shares = {
            (layer, ratio): worth.share(layer, ratio)
            for layer, ratios in choices.ratios.items()
            for ratio in ratios
            if ratio
        }
        body = set(choices.layers)
        self._head = np.zeros(self._energy.size)
        for layer, place in self._place.items():
            if layer not in body:
                self._head[place : place + 2] = self.of_head
        self._biases = {n: self._with_biases(n) for n in choices.counts}
        alone = float(self._of([self._head])[0])
        self._alone = alone if math.isfinite(alone) else 0.0

    def _with_biases(self, count: int) -> np.ndarray:
        part = self._head.copy()
        layers = self.choices.layers
        for layer in layers[len(layers) - count :]:
            part[self._place[layer] + 1] = 1.0
        return part

    def _trained(self, count: int, ratios: Ratios) -> np.ndarray:
        """What part of each tensor a scheme trains, f64 [tensors]."""
        part = self._biases[count].copy()
        for layer, ratio in ratios.items():
            if ratio:
                part[self._place[layer]] = self._shares[layer, ratio]
        return part

    def _of(self, parts: Sequence[np.ndarray]) -> np.ndarray:
        """The value of each of several sets, f64; -infinity where nothing has a gradient."""
        part = np.stack(parts)
        kernel, head = part @ self._energy, self._head @ self._energy
        pairs = np.sum((part @ self._pairs) * part, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            value = 2 * np.log(kernel) - np.log(pairs)
            if head > 0.0:
                value -= self._slowed * np.log(kernel / head)
        return np.where(np.isfinite(value), value, -math.inf)

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
        found = self._of([self._trained(*one) for one in schemes]) - self._alone
        return [round(float(one), 9) if math.isfinite(one) else -math.inf for one in found]

    def alone(self, layer: str) -> tuple[float, float]:
        """What the weights of a layer are worth beside all biases from there on, and its bias."""
        reach = self.choices.reach(layer)
        possible = self.choices.ratios.get(layer, (0.0,))
        before, biases, both = self.gains(
            [(reach - 1, {}), (reach, {}), (reach, {layer: possible[-1]})]
        )
        return max(both - biases, 0.0), max(biases - before, 0.0)
