"""What sets win that share one rate: by hand, and as a knapsack has it."""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import pytest

from tinytrain.choosing.choices import Choices
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.knapsack import best_set
from tinytrain.choosing.shared_rate import ENERGY, SPREAD, STEPS, SharedRate

LAYERS = ("a", "b", "c")
CHOICES = Choices(LAYERS, (0, 1, 2, 3), {"b": (0.0, 0.5, 1.0), "c": (0.0, 1.0)})
SAMPLES = 64


def worth(energies: dict[str, tuple[float, float]], signal: float = 0.04) -> Worth:
    """Every tensor of the same signal, noise on top, as so many samples show it."""
    seen = {
        layer: tuple(k * (signal * (SAMPLES - 1) + 1) / SAMPLES for k in both)
        for layer, both in energies.items()
    }
    flat = dict.fromkeys(energies, 1.0)
    sizes = dict.fromkeys(energies, (1, 1))
    return Worth(flat, flat, {}, seen, SAMPLES, energies, sizes)  # type: ignore[arg-type]


EVEN = {"a": (1.0, 1.0), "b": (2.0, 1.0), "c": (1.0, 1.0), "head": (1.0, 0.0)}


def test_what_is_noise_by_itself_counts_for_nothing() -> None:
    valued = SharedRate(CHOICES, worth(EVEN))
    assert valued.alone("b") == pytest.approx((0.04, 0.04))
    assert valued.alone("a") == pytest.approx((0.0, 0.04)), "its weights cannot be chosen"
    assert valued.whole == pytest.approx(5 * 0.04)
    assert SharedRate(CHOICES, worth(EVEN, -0.01)).gain(3, {"b": 1.0}) == 0.0


def test_a_layer_with_large_gradients_keeps_the_others_from_learning() -> None:
    even = SharedRate(CHOICES, worth(EVEN))
    assert even.gain(3, {"b": 1.0, "c": 1.0}) > even.gain(3, {"c": 1.0}) > even.gain(3, {})
    steep = {**EVEN, "b": (1e6, 1.0)}
    valued = SharedRate(CHOICES, worth(steep))
    assert valued.gain(3, {"b": 1.0}) < valued.gain(3, {})
    kernel, q = 1e6 + 4.0, 0.04
    wanted = q * sum(1 - math.exp(-STEPS * k / kernel) for k in (1e6, 1.0, 1.0, 1.0))
    assert valued.gain(3, {"b": 1.0}) == pytest.approx(wanted)
    # With Adam the length of a step does not depend on the gradient.
    apart = SharedRate(CHOICES, worth(steep), apart=True)
    assert apart.gain(3, {"b": 1.0}) == pytest.approx(4 * q)
    (band,) = apart.bands()
    line, most = apart.line(band)
    found = best_set(CHOICES, apart.values(band), {ENERGY: most}, [line])
    assert found is not None and found.value == pytest.approx(apart.whole)


def test_a_larger_tensor_has_more_directions_and_takes_longer() -> None:
    found = worth(EVEN)
    large = dataclasses.replace(found, sizes={**found.sizes, "b": (10_000, 1)})
    one, many = SharedRate(CHOICES, found), SharedRate(CHOICES, large)
    d = 10_000**SPREAD
    assert many.alone("b")[0] == pytest.approx(d * one.alone("b")[0])
    kernel = 1.0 + 1.0 + 1.0 + 2.0
    wanted = 0.04 * (d * (1 - math.exp(-STEPS * 2.0 / (d * kernel))) + 2)
    assert many.gain(2, {"b": 1.0}) == pytest.approx(wanted)
    # A half has half of k and of q, and fewer directions.
    half = 0.5**SPREAD * d
    kernel -= 1.0
    wanted = 0.04 * (0.5 * half * (1 - math.exp(-STEPS * 1.0 / (half * kernel))) + 2)
    assert many.gain(2, {"b": 0.5}) == pytest.approx(wanted)


@pytest.mark.parametrize("seed", range(8))
def test_bands_hold_every_set_and_none_wins_more_than_its_knapsack_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    energies = {layer: tuple(10.0 ** rng.uniform(-1, 6, 2).round(3)) for layer in (*LAYERS, "head")}
    valued = SharedRate(CHOICES, worth(energies))  # type: ignore[arg-type]
    bounds = []
    for band in valued.bands():
        line, most = valued.line(band)
        found = best_set(CHOICES, valued.values(band), {ENERGY: most}, [line])
        bounds.append(0.0 if found is None else found.bound)
    best = max(
        valued.gain(count, dict(zip(CHOICES.ratios, picked, strict=True)))
        for count in CHOICES.counts
        for picked in itertools.product(*CHOICES.ratios.values())
        if all(
            not r or CHOICES.reach(layer) <= count
            for layer, r in zip(CHOICES.ratios, picked, strict=True)
        )
    )
    assert best <= max(bounds) * (1 + 1e-6)
