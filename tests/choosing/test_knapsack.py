"""The knapsack against all sets of a small model, and with a planner that disagrees."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product

import pytest

from tinytrain.choosing.choices import RATIOS, Choices
from tinytrain.choosing.knapsack import Line, Values, best_set
from tinytrain.scheme.scheme import Scheme

LAYERS = ("a", "b", "c", "d")
CHOICES = Choices(LAYERS, tuple(range(5)), {"b": RATIOS, "c": (0.0, 0.5, 1.0), "d": RATIOS})


def made_up(seed: int) -> tuple[Values, Line]:
    rng = random.Random(seed)
    items = [(layer, ratio) for layer, ratios in CHOICES.ratios.items() for ratio in ratios[1:]]
    values = Values(
        {layer: rng.uniform(0, 1) for layer in LAYERS}, {item: rng.uniform(0, 3) for item in items}
    )
    bytes_ = {item: rng.randint(10, 400) for item in items}
    return values, Line("ram", 100, {n: 30 * n for n in CHOICES.counts}, bytes_)


def everything() -> Iterator[tuple[int, dict[str, float]]]:
    for count in CHOICES.counts:
        for picked in product(*CHOICES.ratios.values()):
            ratios = {k: r for k, r in zip(CHOICES.ratios, picked, strict=True) if r}
            if all(CHOICES.reach(layer) <= count for layer in ratios):
                yield count, ratios


def best_of(values: Values, lines: list[Line], most: int) -> float:
    return max(
        values.of(LAYERS[len(LAYERS) - count :], ratios)
        for count, ratios in everything()
        if all(line.sum(count, ratios) <= most for line in lines if line.holds(count, ratios))
    )


@pytest.mark.parametrize("seed", range(6))
def test_no_set_is_worth_more(seed: int) -> None:
    values, line = made_up(seed)
    for most in (100, 250, 500, 1500):
        found = best_set(CHOICES, values, {"ram": most}, [line])
        assert found is not None
        assert found.is_exact and found.rounds == 1
        count, ratios = CHOICES.picked(found.scheme)
        assert line.sum(count, ratios) <= most
        assert found.value == pytest.approx(best_of(values, [line], most), rel=1e-4)
        assert found.bound >= found.value


@pytest.mark.parametrize("seed", range(3))
def test_a_planner_that_disagrees_cuts_until_both_agree(seed: int) -> None:
    values, line = made_up(seed)
    lines, asked = [line], []

    def needed(count: int, ratios: dict[str, float]) -> int:
        # Two layers side by side need more than their sum says.
        return line.sum(count, ratios) + (150 if {"b", "c"} <= ratios.keys() else 0)

    def check(scheme: Scheme) -> list[Line]:
        asked.append(scheme)
        count, ratios = CHOICES.picked(scheme)
        excess = needed(count, ratios) - line.sum(count, ratios)
        if needed(count, ratios) <= 600:
            return []
        given = {layer: ratios[layer] for layer in ("b", "c")}
        return [Line("ram", line.fixed + excess, line.biases, line.weights, given)]

    found = best_set(CHOICES, values, {"ram": 600}, lines, check)
    assert found is not None and found.rounds == len(asked)
    fitting = [(c, r) for c, r in everything() if needed(c, r) <= 600]
    best = max(values.of(LAYERS[len(LAYERS) - c :], r) for c, r in fitting)
    assert found.value == pytest.approx(best, rel=1e-4)
    assert found.bound >= found.value and 0.0 <= found.gap < 1.0


def test_a_planner_that_answers_nothing_useful_still_ends() -> None:
    values, line = made_up(0)
    calls = []

    def check(scheme: Scheme) -> list[Line]:
        calls.append(scheme)
        count, ratios = CHOICES.picked(scheme)
        return [line] if line.sum(count, ratios) > 300 else []

    found = best_set(CHOICES, values, {"ram": 500}, [line], check)
    assert found is not None
    assert line.sum(*CHOICES.picked(found.scheme)) <= 300
    assert len({(s.biases, *s.weights.items()) for s in calls}) == len(calls)


def test_where_nothing_fits_nothing_is_chosen() -> None:
    values, line = made_up(0)
    assert best_set(CHOICES, values, {"ram": 99}, [line]) is None


def test_two_limits_hold_together() -> None:
    values, line = made_up(1)
    steps = Line("instructions", 10, dict.fromkeys(CHOICES.counts, 0), {("d", 1.0): 100})
    found = best_set(CHOICES, values, {"ram": 2000, "instructions": 50}, [line, steps])
    assert found is not None
    assert CHOICES.picked(found.scheme)[1].get("d") != 1.0


def test_equal_values_take_less() -> None:
    _, line = made_up(2)
    found = best_set(CHOICES, Values({}, {}), {"ram": 2000}, [line])
    assert found is not None and found.scheme == CHOICES.scheme(0, {})
