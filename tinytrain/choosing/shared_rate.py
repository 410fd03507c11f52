"""What layers are worth that learn together, at one rate, from one noisy sample after another.

Of a tensor, G is the mean gradient and E|g|² the mean square of a sample's own. What a step on one
sample does for all others is the gradient's signal, q = |G|²/E|g|² (Liu et al., Understanding Why
Neural Networks Generalize Well Through GSNR of Parameters, ICLR 2020). Measured on N samples |G|²
is (N·|mean g|² - mean |g|²)/(N - 1), so that noise by itself counts for nothing (McCandlish et al.,
An Empirical Model of Large-Batch Training, 2018, appendix A).

A tensor of P elements spreads k over about d = P^0.3 directions, of curvature k/d each. The
suggested rate is that of all that trains: in inverse proportion to K, the sum of its k, with
rate · K about 1/2 (docs/training.md). In T steps the squared error along a direction falls to
exp(-2 · rate · k/d · T), so that a set wins

    sum of q · d · (1 - exp(-T · k/(d · K)))

and a layer with large gradients keeps all others from learning. A head that is fresh has gradients
that say little: see `choosing.interference`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.knapsack import Line, Values

STEPS = 3000
"""T: some thousand samples."""

SPREAD = 0.3
"""Exponent of d: between what 64 samples show of three networks, 0.2, and a square root, which
long training comes nearer to."""

BANDS = 16
"""Of K at most; in each of them a knapsack finds the best set."""

ENERGY = "squared gradient"
"""What a line sums that keeps K within a band."""

_UNITS = 1 << 20


@dataclass(frozen=True)
class _Tensor:
    """A tensor that may train, or a part of it.

    Attributes:
        signal: q · d, of a part the share that Fisher gives its channels.
        energy: k, of a part likewise.
        directions: d.
    """

    signal: float = 0.0
    energy: float = 0.0
    directions: float = 1.0

    def part(self, share: float, ratio: float) -> _Tensor:
        """A ratio of the channels, the best ones, with their share of q and k."""
        fewer = ratio**SPREAD
        return _Tensor(share * fewer * self.signal, share * self.energy, fewer * self.directions)


@dataclass(frozen=True)
class Band:
    """Values of K, both above 0."""

    low: float
    high: float


class SharedRate:
    """The value of each scheme that can be chosen.

    Args:
        worth: measured on labelled samples.
        apart: whether the steps of a tensor have the length of the rate, whatever its gradient is,
            as those of Adam: then none keeps another from learning.

    Attributes:
        biases, weights: of each layer what can train.
    """

    def __init__(self, choices: Choices, worth: Worth, *, apart: bool = False) -> None:
        self._choices, self._apart = choices, apart
        self.biases = {layer: _tensor(worth, layer, 1) for layer in choices.layers}
        self.weights = {
            (layer, ratio): _tensor(worth, layer, 0).part(worth.share(layer, ratio), ratio)
            for layer, ratios in choices.ratios.items()
            for ratio in ratios[1:]
        }
        body = set(choices.layers)
        heads = [_tensor(worth, layer, k) for layer in worth.descent for k in (0, 1)
                 if layer not in body]  # fmt: skip
        self._head = sum(tensor.energy for tensor in heads)

    @property
    def whole(self) -> float:
        """What all layers before the head would win, each at a rate of its own; above 0."""
        most = (self.weights[layer, r[-1]] for layer, r in self._choices.ratios.items() if r[1:])
        return sum(tensor.signal for tensor in (*self.biases.values(), *most)) or 1.0

    def alone(self, layer: str) -> tuple[float, float]:
        """What the weights of a layer would win at a rate of their own, and its bias."""
        ratios = self._choices.ratios.get(layer, (0.0,))
        weights = self.weights.get((layer, ratios[-1]), _Tensor())
        return weights.signal, self.biases[layer].signal

    def gain(self, count: int, ratios: Ratios) -> float:
        """What a scheme wins over its head alone."""
        trained = [*self._last(count), *(self.weights[one] for one in ratios.items() if one[1])]
        kernel = self._head + sum(tensor.energy for tensor in trained)
        return sum(self._wins(tensor, kernel) for tensor in trained)

    def bands(self) -> list[Band]:
        """All that K can be, from the head's to that of everything."""
        if self._apart:
            return [Band(1.0, math.inf)]
        most: dict[str, float] = {}
        for (layer, _), tensor in self.weights.items():
            most[layer] = max(most.get(layer, 0.0), tensor.energy)
        body = [*most.values(), *(tensor.energy for tensor in self.biases.values())]
        low = self._head or min((energy for energy in body if energy), default=1.0)
        high = max(self._head + sum(body), low)
        count = min(max(math.ceil(math.log2(high / low)), 1), BANDS)
        edges = [low * (high / low) ** (k / count) for k in range(count + 1)]
        return [Band(*edges[k : k + 2]) for k in range(count)]

    def values(self, band: Band) -> Values:
        """Of each choice as a sum has it: no scheme of the band wins more."""
        return Values(
            {layer: self._wins(tensor, band.low) for layer, tensor in self.biases.items()},
            {item: self._wins(tensor, band.low) for item, tensor in self.weights.items()},
        )

    def line(self, band: Band) -> tuple[Line, int]:
        """What keeps K within a band, with the limit of its sum."""
        unit = band.high / _UNITS

        def units(energy: float) -> int:
            # What does not fit need not be told from what fits even less.
            return min(int(energy / unit), 2 * _UNITS)

        biases = {n: units(sum(t.energy for t in self._last(n))) for n in self._choices.counts}
        weights = {item: units(tensor.energy) for item, tensor in self.weights.items()}
        return Line(ENERGY, units(self._head), biases, weights), _UNITS

    def _wins(self, tensor: _Tensor, kernel: float) -> float:
        """At the rate for a K, or at its own."""
        if self._apart:
            return tensor.signal
        curvature = tensor.energy / tensor.directions
        return tensor.signal * -math.expm1(-STEPS * curvature / (kernel or 1.0))

    def _last(self, count: int) -> Iterator[_Tensor]:
        layers: Sequence[str] = self._choices.layers
        return (self.biases[layer] for layer in layers[len(layers) - count :])


def _tensor(worth: Worth, layer: str, which: int) -> _Tensor:
    """Of weights, 0, or of a bias, 1."""
    if layer not in worth.descent:
        return _Tensor()
    mean, energy = worth.descent[layer][which], worth.spread[layer][which]
    if energy <= 0.0:
        return _Tensor()
    count, directions = worth.samples, worth.sizes[layer][which] ** SPREAD
    signal = (count * mean - energy) / max(count - 1, 1)
    return _Tensor(directions * max(signal, 0.0) / energy, energy, directions)
