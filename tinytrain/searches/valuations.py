"""Ways to value what can be chosen, before sets of it are measured.

Values of one way add up, which is what a knapsack takes, and which is wrong: layers that train
together win less than the sum of what each wins alone. So sets of several ways are measured, and
the measurements decide.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from tinytrain.choosing.choices import Choices
from tinytrain.choosing.elastic import descent_of
from tinytrain.choosing.fisher import Worth, tinytrain_scores
from tinytrain.choosing.knapsack import Values


def part_of(worth: Worth, layer: str, ratio: float) -> float:
    """How much of a whole layer's value a ratio of its channels has: the square root of their share
    of the layer's Fisher information, as what is left says less and less that is new."""
    whole = worth.layers[layer]
    facts = worth.facts.get(layer)
    if facts is None or whole <= 0.0:
        return math.sqrt(ratio)
    count = max(1, math.floor(ratio * len(facts.size) + 0.5))
    return math.sqrt(min(max(worth.part(layer, count) / whole, ratio), 1.0))


def by_contribution(
    choices: Choices, worth: Worth, gains: Mapping[str, float], biases: Mapping[int, float]
) -> Values:
    """By short trainings: of each layer alone how far it lowers the loss of the judges.

    Args:
        gains: of layers whose weights were measured.
        biases: the loss by the number of last biases.
    """
    return _values(choices, worth, gains, _by_layer(choices, biases))


def by_fisher(choices: Choices, worth: Worth) -> Values:
    """By the Fisher information of weights and of biases."""
    return _values(choices, worth, worth.layers, worth.bias)


def by_root(choices: Choices, worth: Worth) -> Values:
    """By its square root: several layers with less are worth more than one with much."""
    roots = {layer: math.sqrt(value) for layer, value in worth.layers.items()}
    return _values(choices, worth, roots, {k: math.sqrt(v) for k, v in worth.bias.items()})


def by_descent(choices: Choices, worth: Worth) -> Values:
    """By how far a step lowers the loss, to first order, as `choosing.elastic` has it."""
    return Values(
        {layer: worth.descent[layer][1] for layer in choices.layers if layer in worth.descent},
        {
            (layer, ratio): descent_of(worth, layer, ratio)
            for layer, ratios in choices.ratios.items()
            for ratio in ratios[1:]
        },
    )


def by_tinytrain(
    choices: Choices, worth: Worth, weights: Mapping[str, int], macs: Mapping[str, int]
) -> Values:
    """By the layer score of TinyTrain (Kwon et al., ICML 2024), which favours small layers.

    Args:
        weights, macs: of each layer of `worth`.
    """
    return _values(choices, worth, tinytrain_scores(worth, weights, macs), {})


def by_number(choices: Choices, worth: Worth) -> Values:
    """By the number of layers: each whole one counts as much."""
    return _values(choices, worth, dict.fromkeys(choices.layers, 1.0), {})


def _values(
    choices: Choices, worth: Worth, weights: Mapping[str, float], biases: Mapping[str, float]
) -> Values:
    return Values(
        biases,
        {
            (layer, ratio): max(weights.get(layer, 0.0), 0.0) * part_of(worth, layer, ratio)
            for layer, ratios in choices.ratios.items()
            for ratio in ratios
            if ratio > 0.0
        },
    )


def _by_layer(choices: Choices, losses: Mapping[int, float]) -> dict[str, float]:
    """What each bias wins: between two counts that were measured, each as much."""
    found: dict[str, float] = {}
    # A loss that is not finite says nothing of a count: it wins nothing, and those after it what
    # they win over the last that is.
    counts = [count for count in sorted(losses) if math.isfinite(losses[count])]
    if not counts:
        return found
    best = losses[counts[0]]
    for fewer, more in pairwise(counts):
        gain = max(best - losses[more], 0.0)
        best = min(best, losses[more])
        for layer in last_layers(choices, more)[: more - fewer]:
            found[layer] = gain / (more - fewer)
    return found


def last_layers(choices: Choices, count: int) -> Sequence[str]:
    """So many, in execution order."""
    return choices.layers[len(choices.layers) - count :]
