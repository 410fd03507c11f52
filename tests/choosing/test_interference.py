"""What samples do to each other, against double precision; and which sets that prefers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.autodiff.differentiate import Loss
from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.choosing.climb import climb
from tinytrain.choosing.fisher import Worth, measure_worth
from tinytrain.choosing.interference import HEAD, NAT, OF_HEAD, RATE, SIGNAL, Interference
from tinytrain.choosing.knapsack import Line
from tinytrain.choosing.pairs import Pairs
from tinytrain.choosing.shared_rate import STEPS, SharedRate

LAYERS = ("a", "b", "c", "d")
CHOICES = Choices(LAYERS, (0, 1, 2, 3, 4), {"b": (0.0, 0.5, 1.0), "c": (0.0, 1.0), "d": (0.0, 1.0)})
SAMPLES = 12


def gradients(seed: int = 0, common: float = 0.0) -> dict[tuple[str, int], np.ndarray]:
    """Of each tensor, f64 [samples, elements]; all have `common` added."""
    rng = np.random.default_rng(seed)
    return {
        (layer, which): rng.normal(common, 10.0 ** rng.uniform(-2, 2), (SAMPLES, size))
        for layer in (*LAYERS, "head")
        for which, size in ((0, 70), (1, 9))
    }


def worth(given: dict[tuple[str, int], np.ndarray]) -> Worth:
    pairs, layers = Pairs(), (*LAYERS, "head")
    for (layer, which), rows in given.items():
        for row in rows:
            pairs.add(layer, which, row)
    spread = {
        layer: tuple(float(np.mean(np.sum(given[layer, k] ** 2, axis=1))) for k in (0, 1))
        for layer in layers
    }
    flat = dict.fromkeys(layers, 1.0)
    sizes = dict.fromkeys(layers, (70, 9))
    products = pairs.products(layers)
    return Worth(flat, flat, {}, spread, SAMPLES, spread, sizes, 1.0, products)  # type: ignore[arg-type]


def by_definition(given: dict[tuple[str, int], np.ndarray], trained: dict) -> float:
    """What samples do to each other, from the gradients of what trains."""
    gram = sum(part * given[key] @ given[key].T for key, part in trained.items())
    kernel, off = np.trace(gram) / SAMPLES, gram[np.triu_indices(SAMPLES, 1)]
    return math.log(kernel**2 / np.mean(off**2))


def test_a_set_is_worth_what_its_gradients_say() -> None:
    given = gradients()
    valued = Interference(CHOICES, worth(given), signal=0.0)
    head = {("head", 0): OF_HEAD, ("head", 1): OF_HEAD}
    some = {**head, ("b", 0): 0.5, ("b", 1): 1.0, ("c", 1): 1.0, ("d", 0): 1.0, ("d", 1): 1.0}
    wanted = by_definition(given, some) - by_definition(given, head)
    assert valued.gain(3, {"b": 0.5, "d": 1.0}) == pytest.approx(wanted, rel=1e-3)
    assert valued.gain(0, {}) == 0.0
    # And what they win at one rate, less what they keep the head from winning.
    found, held = worth(given), SharedRate(CHOICES, worth(given))
    energy = {key: float(np.mean(np.sum(rows**2, axis=1))) for key, rows in given.items()}
    kernel = sum(part * energy[key] for key, part in some.items())
    tensors = [*(held.biases[layer] for layer in "bcd"), held.weights["b", 0.5],
               held.weights["d", 1.0]]  # fmt: skip
    won = sum(
        t.signal * -math.expm1(-STEPS * RATE * t.energy / (t.directions * kernel)) for t in tensors
    )
    share = OF_HEAD * (energy["head", 0] + energy["head", 1]) / kernel
    lost = NAT * found.fallen * (math.exp(-HEAD * RATE * share) - math.exp(-HEAD * RATE))
    both = Interference(CHOICES, found).gain(3, {"b": 0.5, "d": 1.0})
    assert both == pytest.approx(wanted + SIGNAL * (won - lost), rel=1e-3)
    assert min(itertools.chain(*map(valued.alone, LAYERS))) >= 0.0


def test_layers_that_disturb_all_samples_alike_are_left_out() -> None:
    given = gradients()
    scale = np.sqrt(np.mean(given["head", 0] ** 2))
    rng = np.random.default_rng(3)
    given["c", 0] = scale * rng.normal(0, 1, (SAMPLES, 70))
    given["d", 0] = scale * (rng.normal(0, 0.2, (SAMPLES, 70)) + rng.normal(0, 1, 70))
    valued = Interference(CHOICES, worth(given), signal=0.0)
    assert valued.gain(2, {"c": 1.0}) > valued.gain(2, {}) > valued.gain(2, {"d": 1.0})
    assert valued.alone("c")[0] > 0.0 == valued.alone("d")[0]


@pytest.mark.parametrize("value", [0.0, math.nan])
def test_where_nothing_has_a_gradient_nothing_is_worth_anything(value: float) -> None:
    given = {key: np.full_like(rows, value) for key, rows in gradients().items()}
    with np.errstate(invalid="ignore"):
        valued = Interference(CHOICES, worth(given))
        assert valued.whole == 1.0 and valued.gain(0, {}) == 0.0
        assert {valued.alone(layer) for layer in LAYERS} == {(0.0, 0.0)}
        found = climb(CHOICES, valued.gains, {}, ())
    assert found is not None and not found[0].biases and found[1] == 0.0


def test_a_layer_that_cannot_train_is_worth_nothing() -> None:
    """As the one that rows are fed to."""
    fed = Choices(LAYERS, (0, 1, 2, 3), {"c": (0.0, 1.0), "d": (0.0, 1.0)})
    valued = Interference(fed, worth(gradients()))
    assert valued.alone("a") == (0.0, 0.0) != valued.alone("c")
    assert Interference(Choices(LAYERS, (0,), {}), worth(gradients())).whole == 1.0


@pytest.mark.parametrize("seed", range(6))
def test_no_single_change_is_better(seed: int) -> None:
    """And mostly nothing is: of all sets within a budget, tried one by one."""
    valued = Interference(CHOICES, worth(gradients(seed, 0.1)))
    sizes = {"b": 40, "c": 30, "d": 50}
    line = Line(
        "ram", 10, {n: 4 * n for n in CHOICES.counts},
        {(layer, r): int(r * sizes[layer]) for layer, rs in CHOICES.ratios.items() for r in rs},
    )  # fmt: skip
    limits = {"ram": 90}
    found = climb(CHOICES, valued.gains, limits, [line])
    assert found is not None
    scheme, value = found
    count, ratios = CHOICES.picked(scheme)
    assert line.sum(count, ratios) <= 90 and valued.gain(count, ratios) == value >= 0.0
    every = [
        (n, {layer: r for layer, r in zip(CHOICES.ratios, picked, strict=True) if r})
        for n in CHOICES.counts
        for picked in itertools.product(*CHOICES.ratios.values())
    ]
    fitting = [
        one for one in every
        if all(CHOICES.reach(layer) <= one[0] for layer in one[1]) and line.sum(*one) <= 90
    ]  # fmt: skip
    best = max(valued.gains(fitting))
    near = [
        one for one in fitting
        if sum(one[1].get(k, 0.0) != ratios.get(k, 0.0) for k in CHOICES.ratios) <= 1
        and one[0] in (count, max(count, *(CHOICES.reach(k) for k in one[1] or ["d"])))
    ]  # fmt: skip
    assert max(valued.gains(near)) <= value + 1e-9
    assert value >= 0.9 * best


def test_what_was_taken_first_makes_room_for_what_is_worth_more() -> None:
    """Only one of two layers fits; the one that wins more alone wins less beside all biases."""
    line = Line(
        "ram", 0, dict.fromkeys(CHOICES.counts, 0), {("b", 1.0): 2, ("d", 1.0): 2}
    )  # fmt: skip

    def gains(schemes: Sequence[tuple[int, Ratios]]) -> list[float]:
        return [
            3.0 * (ratios.get("b") == 1.0)
            + (4.0 if count == 4 else 2.0) * (ratios.get("d") == 1.0)
            + 0.5 * (count == 4)
            for count, ratios in schemes
        ]

    found = climb(CHOICES, gains, {"ram": 2}, [line])
    assert found is not None
    assert (len(found[0].biases), found[0].weights.keys(), found[1]) == (4, {"d"}, 4.5)


def test_where_the_head_does_not_fit_nothing_is_found() -> None:
    line = Line("ram", 10, dict.fromkeys(CHOICES.counts, 0), {})
    valued = Interference(CHOICES, worth(gradients()))
    assert climb(CHOICES, valued.gains, {"ram": 9}, [line]) is None
    assert climb(CHOICES, valued.gains, {"ram": 10}, [line]) is not None


def test_a_network_with_a_fresh_head_is_measured_so() -> None:
    forward = GRAPHS["convolutions"]()
    rng = np.random.default_rng(5)
    y = np.arange(24, dtype=np.int32) % 4
    x = rng.normal(0, 40, (len(y), *forward.inputs[0].type.shape[1:]))
    x[..., 0] += 60 * (y % 2)[:, None, None] - 30
    samples = np.clip(np.rint(x), -128, 127).astype(np.int8)
    loss = Loss("cross_entropy")
    fresh = measure_worth(forward, samples, y, loss=loss, classes=4, learned=True)
    assert fresh.interference is not None and fresh.interference.shape == 2 * (
        2 * len(fresh.layers),
    )
    assert np.linalg.eigvalsh(fresh.interference).min() > -1e-9 * fresh.interference.max()
    # The square of a mean over pairs is at most that of what lies on the diagonal.
    energy = np.array([fresh.spread[layer] for layer in fresh.layers]).ravel()
    assert (np.sqrt(np.diag(fresh.interference)) < 3 * energy + 1e-12).all()
    known = measure_worth(forward, samples, y, loss=loss)
    assert known.interference is None, "a head that stays is valued otherwise"
    one = measure_worth(forward, samples[:1], y[:1], loss=loss, classes=4, learned=True)
    assert one.interference is None, "there is no other sample"
