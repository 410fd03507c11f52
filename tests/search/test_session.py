"""What decides within a session: schemes are told apart by what they train."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinytrain.choosing.choices import scheme_key
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.saturation import Saturation
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.costs import Cost
from tinytrain.scheme.channels import random_order
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.scheme.ways import WAYS, ChannelFacts
from tinytrain.searches.explore import BUDGETS, Explorer
from tinytrain.searches.finals import Finals, at_other_rates, clearly_better, halved
from tinytrain.searches.front import Tried, best
from tinytrain.searches.growth import FASTER, other_channels
from tinytrain.searches.lengths import Lengths
from tinytrain.searches.measured import Marks, TrialLength
from tinytrain.searches.prices import Takes
from tinytrain.searches.valuations import _by_layer


def test_two_schemes_of_one_name_both_train_longer() -> None:
    pair = [Scheme("twin", (), {layer: Share()}) for layer in ("conv_0", "conv_1")]
    tried = tuple(
        Tried(scheme, "greedy", Takes(10, 10, 10), Marks((loss,), (0.5,)))
        for scheme, loss in zip(pair, (1.0, 2.0), strict=True)
    )
    short, long = (TrialLength(name, 1, (0,), 1) for name in ("short", "long"))

    def marks(schemes: list[Scheme], length: TrialLength) -> list[Marks]:
        names = [scheme.name.partition(",")[0] + str(*scheme.weights) for scheme in schemes]
        places = {"twinconv_0": 0, "twinconv_1": 1}
        return [Marks((0.0,), (places[name] / 2,)) for name in names]

    measured: Any = SimpleNamespace(marks=marks)
    prices: Any = SimpleNamespace(within=lambda scheme, limits: Cost(10, 10, 10, 10, 10))
    lengths = Lengths(short, long, None)
    found = Finals(measured, lengths, prices, Budget(1000, 1000), "dense_0").of(tried, set())
    assert [one.long.accuracies for one in found[:2]] == [(0.0,), (0.5,)]
    assert [one.scheme for one in found[:2]] == pair
    assert {one.origin for one in found[2:]} == {"other rates"}


def test_finalists_that_are_behind_in_the_first_order_train_no_more() -> None:
    """Of equals in accuracy the smaller loss is ahead, as where the best is chosen."""
    accuracies = {"a": (0.5, 0.1, 0.1), "b": (0.4, 0.9, 0.9), "c": (0.6, 0.6, 0.6)}
    asked: list[tuple[str, int]] = []

    def marks(schemes: list[Scheme], length: TrialLength) -> list[Marks]:
        asked.extend((one.name, len(length.seeds)) for one in schemes)
        count = len(length.seeds)
        return [Marks((1.0,) * count, accuracies[one.name][:count]) for one in schemes]

    finalists = [
        Tried(Scheme(name), "greedy", Takes(1, 1, 1), Marks((1.0,), (0.5,))) for name in accuracies
    ]
    measured: Any = SimpleNamespace(marks=marks)
    a, b, c = halved(finalists, 2, measured, TrialLength("long", 9, (0, 1, 2), 9))
    assert asked == [("a", 1), ("b", 1), ("c", 1), ("c", 3), ("a", 3)]
    assert (b.long, b.left) == (None, Marks((1.0,), (0.4,))) and b.trainings == 2
    assert a.left is None and a.long is not None and best([a, c]) is c and c.trainings == 4
    assert halved([], 2, measured, TrialLength("long", 9, (0, 1, 2), 9)) == []


def test_the_best_are_tried_with_other_rates() -> None:
    """The factors of the head are those beside other layers: alone it has one rate."""
    body, head = (
        Tried(
            scheme, "greedy", Takes(7, 7, 7), Marks((1.0,), (0.5,)), Marks((1.0,), (0.9,)), gap=0.1
        )
        for scheme in (Scheme("body", ("a",)), Scheme("head"))
    )

    def marks(schemes: list[Scheme], length: TrialLength) -> list[Marks]:
        return [Marks((1.0,), (one.rate / 10,)) for one in schemes]

    measured: Any = SimpleNamespace(marks=marks)
    found = at_other_rates((body, head), "h", measured, TrialLength("short", 1, (0,), 1))
    both = [(rate, {} if factor == 1.0 else {"h": factor}) for rate, factor in FASTER]
    assert [(one.scheme.rate, one.scheme.rates) for one in found] == [*both, (2.0, {})]
    assert [one.name for one in found[:2]] == ["body, rate x2", "body, rate x2, head x4"]
    assert {(one.origin, one.takes.ram, one.long, one.gap) for one in found} == {
        ("other rates", 7, None, None)
    }
    assert [one.short.accuracy for one in found[:2]] == [0.2, 0.2]


def test_another_rate_has_to_win_by_more_than_chance() -> None:
    def tried(rate: float, *accuracies: float) -> Tried:
        scheme = Scheme("s", ("a",), rate=rate)
        long = Marks((1.0,) * len(accuracies), accuracies) if accuracies else None
        return Tried(scheme, "x", Takes(1, 1, 1), Marks((1.0,), (0.5,)), long)

    usual = tried(1.0, 0.70, 0.80, 0.75)
    equal, noisy, better = (
        tried(rate, *long)
        for rate, long in (
            (2.0, (0.70, 0.80, 0.75)),
            (3.0, (0.80, 0.75, 0.75)),
            (4.0, (0.71, 0.82, 0.76)),
        )
    )
    found = clearly_better((equal, noisy, better, tried(5.0)), [usual])
    assert [one.long for one in found] == [None, None, better.long, None]
    assert [one.left for one in found] == [equal.long, noisy.long, None, None]
    assert best([usual, found[2]]) is found[2]


def test_a_loss_that_is_not_finite_makes_no_gain_of_the_kind() -> None:
    explorer: Any = object.__new__(Explorer)
    known = {"a": 2.0, "b": 3.0, "c": math.inf}
    schemes = {name: Scheme(name, (name,)) for name in known}
    explorer._tried = {
        scheme_key(one): Tried(one, "greedy", Takes(1, 1, 1), Marks((known[name],), (0.5,)))
        for name, one in schemes.items()
    }
    assert [explorer._loss(one) for one in schemes.values()] == [2.0, 3.0, 3.0]
    model = Saturation({("a", 1.0): 1.0})
    for gain in (-math.inf, math.nan, 0.5):
        model.learn(("a", 1.0), 0.0, gain)
        assert math.isfinite(model.expect(("a", 1.0), 0.1))
    choices: Any = SimpleNamespace(layers=("a", "b", "c"))
    worth = _by_layer(choices, {0: math.inf, 1: 2.0, 2: math.inf, 3: 1.0})
    assert worth == {"a": 0.5, "b": 0.5}
    assert _by_layer(choices, {0: math.inf}) == {}


def test_the_budget_that_is_asked_for_comes_once() -> None:
    def ram(scheme: Scheme) -> int:
        return 3200 if scheme.biases else 100

    explorer: Any = SimpleNamespace(
        _choices=SimpleNamespace(
            counts=(0, 1), ratios={}, scheme=lambda count, ratios: Scheme("s", ("conv_0",) * count)
        ),
        _prices=SimpleNamespace(takes=lambda scheme: Takes(ram(scheme), 1, 1)),
        _most=10000,
    )
    found = [one.ram for one in Explorer._budgets(explorer, Budget(3200, 1))]
    assert found[-1] == 3200 and len(found) == len(set(found)) == BUDGETS
    explorer._most = 100
    assert [one.ram for one in Explorer._budgets(explorer, Budget(5000, 1))] == [100, 5000]


def test_other_channels_are_listed_so_that_no_seed_has_to_be_known() -> None:
    size = np.arange(8.0)
    facts = ChannelFacts(size, random_order("a", 8, 3), np.ones((4, 8)), size)
    flat = {"a": 1.0}
    worth = Worth(flat, flat, {"a": facts}, {"a": (1.0, 1.0)}, 4, {"a": (1.0, 1.0)}, {"a": (8, 1)})
    scheme = Scheme("s", ("a",), {"a": Share(0.25)})
    found = {one.choice: one.weights["a"].channels for one in other_channels(scheme, worth)}
    assert set(found) == set(WAYS) - {scheme.choice}
    assert all(channels is not None and len(channels) == 2 for channels in found.values())
    assert found["random"] == tuple(sorted(random_order("a", 8, 3)[:2].tolist()))
