"""Adam in integers against Adam in real numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.real_updates import RATE, prepared, run
from tinytrain.errors import UsageError
from tinytrain.ir.types import DType
from tinytrain.reference import adam


def test_a_step_moves_each_channel_by_the_rate() -> None:
    """The root mean square of the first step is the rate, whatever size the gradient has."""
    compiled = prepared(optimizer="adam")
    before, after = run(compiled, 1)
    weights = [
        value.name
        for value in compiled.graph.parameters
        if value.type.dtype is DType.S8 and not value.name.endswith("_velocity")
    ]
    assert weights
    for name in weights:
        moved = (after[name] - before[name]).reshape(len(before[name]), -1)
        reached = np.sqrt(np.square(moved).mean(axis=1))
        # What has no gradient stays. Half a unit is added to roots of 3 units and more.
        np.testing.assert_allclose(reached[reached > 0], RATE, rtol=0.15)


def test_moments_and_moves_are_those_of_real_numbers() -> None:
    rng = np.random.default_rng(1)
    second, exact = np.zeros(3, np.float32), np.zeros(3)
    weights, wanted = np.zeros((3, 40)), np.zeros((3, 40))
    for step in range(1200):
        velocity = np.rint(rng.normal(0, [[20], [300], [5]], (3, 40))).astype(np.int64)
        mean = np.square(velocity).mean(axis=1)
        exact += (mean - exact) / min(step + 1, adam.HORIZON)
        second = adam.moved_second(second, adam.mean_squares(velocity), step)
        constant = np.float32(2.0**adam.ROOT_BITS * 50)
        gains = np.array([adam.gain(0.01, constant, adam.root_of_weights(s)) for s in second])
        m, h = (part.reshape(3, 1) for part in gains.T)
        weights += adam.moves(velocity, m, h, rng.integers(0, 2**32, velocity.shape))
        wanted += 0.5 * velocity / (np.sqrt(exact)[:, None] + 0.5)
    np.testing.assert_allclose(second, exact, rtol=1e-4)
    # Rounded at random: 1,200 moves leave a spread of 0.29 * sqrt(1200), about 10.
    assert abs(weights - wanted).max() < 50
    assert np.corrcoef(weights.ravel(), wanted.ravel())[0, 1] > 0.7


def test_a_gain_keeps_sixteen_bits() -> None:
    for factor in (2.0**-40, 1e-6, 0.3, 1.0, 777.0, 65_535.0, 1e9):
        m, h = adam.gain(1.0, np.float32(factor), 1)
        assert 2**15 <= m < 2**16 and 0 <= h <= 55
        np.testing.assert_allclose(m * 2.0**-h, min(factor, 65_535.0), rtol=2.0**-15)
    assert adam.gain(0.0, np.float32(1.0), 1) == (0, 0)
    assert adam.gain(1.0, np.float32(2.0**-41), 1) == (0, 0)


@pytest.mark.parametrize(
    ("options", "says"),
    [({"clip_norm": 1.0}, "no norm to clip"), ({"qas": False}, "qas=False changes nothing")],
)
def test_what_does_not_go_with_adam_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        prepared(optimizer="adam", **options)
