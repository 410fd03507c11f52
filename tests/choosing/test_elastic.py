"""Dynamic programming under a time budget, against every choice there is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tinytrain.autodiff.differentiate import Loss
from tinytrain.choosing.elastic import RESOLUTION, Offer, Reached, Stop, best_within, descent_of
from tinytrain.choosing.fisher import measure_worth


def network(seed: int, layers: int) -> list[Stop]:
    rng = np.random.default_rng(seed)
    return [
        Stop(
            f"conv_{layers - k}",
            float(rng.exponential(0.2)),
            int(rng.integers(1, 60)),
            tuple(
                Offer(ratio, float(rng.exponential(ratio)), int(100 * ratio * rng.random()) + 1)
                for ratio in (0.25, 1.0)[: int(rng.integers(0, 3))]
            ),
        )
        for k in range(layers)
    ]


def every(stops: list[Stop], budget: int) -> float:
    """The largest value, by trying all."""
    best = 0.0
    for count in range(1, len(stops) + 1):
        reached = stops[:count]
        for offers in itertools.product(*((None, *stop.offers) for stop in reached)):
            taken = [offer for offer in offers if offer]
            time = sum(s.instructions for s in reached) + sum(o.instructions for o in taken)
            if time <= budget:
                value = sum(s.value for s in reached) + sum(o.value for o in taken)
                best = max(best, value)
    return best


def total(stops: list[Stop], found: Reached) -> tuple[float, int]:
    reached = stops[: found.count]
    offers = [o for s in reached for o in s.offers if found.ratios.get(s.layer) == o.ratio]
    assert len(offers) == len(found.ratios), "every ratio is one that was offered"
    return (
        sum(s.value for s in reached) + sum(o.value for o in offers),
        sum(s.instructions for s in reached) + sum(o.instructions for o in offers),
    )


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_what_trying_everything_finds(seed: int) -> None:
    stops = network(seed, 7)
    for budget in (0, 20, 80, 200, 500, 10_000):
        found = best_within(stops, budget)
        value, time = total(stops, found)
        assert found.value == pytest.approx(value) and found.instructions == time <= budget
        assert value == pytest.approx(every(stops, budget))


def test_what_lies_deeper_pays_for_the_way() -> None:
    """A layer of more value is left out where the way to it costs more than there is."""
    stops = [Stop("near", 0.0, 10, (Offer(1.0, 1.0, 10),)), Stop("far", 0.0, 100, ())]
    deep = Stop("far", 0.0, 100, (Offer(1.0, 9.0, 10),))
    assert best_within([stops[0], deep], 119) == Reached(1, {"near": 1.0}, 1.0, 20)
    assert best_within([stops[0], deep], 120) == Reached(2, {"far": 1.0}, 9.0, 120)
    assert best_within([stops[0], deep], 130) == Reached(2, {"far": 1.0, "near": 1.0}, 10.0, 130)


def test_a_bias_that_is_worth_nothing_is_no_reason_to_go_deeper() -> None:
    stops = [Stop("a", 0.5, 1), Stop("b", 0.0, 1)]
    assert best_within(stops, 100) == Reached(1, {}, 0.5, 1)
    assert best_within([], 100) == Reached()


def test_large_numbers_are_rounded_up_only() -> None:
    stops = network(3, 7)
    large = [
        Stop(
            s.layer,
            s.value,
            s.instructions * 10**7 + 13,
            tuple(Offer(o.ratio, o.value, o.instructions * 10**7 + 7) for o in s.offers),
        )
        for s in stops
    ]
    for budget in (80 * 10**7, 200 * 10**7):
        found = best_within(large, budget)
        less = budget - len(large) * 2 * -(-budget // RESOLUTION)
        assert total(large, found)[1] <= budget
        assert every(large, less) <= found.value + 1e-9 <= every(large, budget) + 2e-9


def test_a_part_of_a_layer_is_valued_by_its_share() -> None:
    graph = GRAPHS["convolutions"]()
    samples = np.random.default_rng(1).integers(-99, 99, (4, *graph.inputs[0].type.shape[1:]))
    worth = measure_worth(
        graph, samples.astype(np.int8), np.arange(4) % 3, loss=Loss("cross_entropy")
    )
    for layer, facts in worth.facts.items():
        whole = descent_of(worth, layer, 1.0)
        assert whole == pytest.approx(worth.descent[layer][0])
        assert 0.0 < descent_of(worth, layer, 1 / facts.size.size) <= whole * (1 + 1e-12)
