"""Velocities against SGD with momentum, accumulation, clipping and decay in real numbers."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.real_updates import RATE, prepared, run, scale_of
from tinytrain.compiler.compiled import Compiled
from tinytrain.ir.types import DType
from tinytrain.reference import apply, update
from tinytrain.reference.interpret import Machine


def trained(states: list[dict[str, np.ndarray]]) -> list[str]:
    return [name for name in states[0] if not name.endswith("_velocity")]


def is_bias(compiled: Compiled, name: str) -> bool:
    (value,) = (value for value in compiled.graph.parameters if value.name == name)
    return value.type.dtype is DType.S32


def unit(compiled: Compiled, name: str) -> float:
    """The coarser of what a trained tensor and its velocity can hold, at its largest scale."""
    (value,) = (value for value in compiled.graph.parameters if value.name == name)
    return float(scale_of(value).max()) * (1.0 if is_bias(compiled, name) else 2.0**-8)


def test_momentum_is_that_of_sgd() -> None:
    """One step of gradient, then nothing but what is kept: rate * g * (1 + m + m^2)."""
    compiled = prepared(momentum=0.5)
    plain = run(prepared(), 1)
    first = run(compiled, 1)
    machine = Machine(compiled.graph, rate=RATE, seed=5)
    for name in trained(first):
        moved = first[1][name] - first[0][name]
        wanted = plain[1][name] - plain[0][name]
        assert np.abs(moved - wanted).max() <= 3 * unit(compiled, name), name
        kept = first[1][f"{name}_velocity"]
        assert np.abs(kept - wanted / 2).max() <= 3 * unit(compiled, name), name
    assert machine.accumulation_window == 1


@pytest.mark.parametrize("rule", ["nearest", "stochastic"])
def test_a_window_applies_the_mean_of_its_gradients(rule: str) -> None:
    compiled = prepared(accumulate=3, update=rule)
    states = run(compiled, 6)
    for name in trained(states):
        for held in (1, 2, 4, 5):
            assert np.array_equal(states[held][name], states[held - held % 3][name])
        assert not np.array_equal(states[3][name], states[0][name])
        for end in (3, 6):
            moved = states[end][name] - states[end - 3][name]
            gathered = states[end - 1][f"{name}_velocity"]
            # The last gradient of the window came in and went out in one step.
            assert np.abs(moved).max() > 0.3 * np.abs(gathered).max() > 0
            assert not states[end][f"{name}_velocity"].any()


def test_a_norm_is_clipped_over_all_tensors_together() -> None:
    free = run(prepared(clip_norm=1000.0), 1)
    names = trained(free)
    norm = np.sqrt(sum(np.sum((free[1][n] - free[0][n]) ** 2) for n in names)) / RATE
    for share in (0.5, 0.1):
        clipped = run(prepared(clip_norm=float(norm * share)), 1)
        for name in names:
            wanted = (free[1][name] - free[0][name]) * share
            error = np.abs(clipped[1][name] - clipped[0][name] - wanted).max()
            assert error <= 3 * unit(prepared(), name) + 1e-3 * np.abs(wanted).max()


def test_weights_decay_by_the_rate() -> None:
    compiled = prepared(weight_decay=1.0)
    states, plain = run(compiled, 1), run(prepared(), 1)
    for name in trained(states):
        difference = plain[1][name] - states[1][name]
        wanted = np.zeros(()) if is_bias(compiled, name) else RATE * plain[1][name]
        assert np.abs(difference - wanted).max() <= 2 * unit(compiled, name), name


def test_decay_is_unbiased_where_it_is_far_below_a_unit() -> None:
    step = update.StepState(rate=1e-4, seed=9)
    weights = np.full((400, 100), 1000, np.int64)
    (r,) = apply.draws(step, 4, weights.shape, 1, is_random=True)
    lost = apply.decays(weights, 0.5, step, r)
    assert set(np.unique(lost)) == {0, 1}
    assert lost.mean() == pytest.approx(1000 * 1e-4 * 0.5, rel=0.1)


def test_factor_of_clipping() -> None:
    assert apply.clip_factor(np.float32(4.0), np.float32(2.0)) == apply.ONE
    assert apply.clip_factor(np.float32(16.0), np.float32(2.0)) == apply.ONE // 2
    assert apply.clip_factor(np.float32(0.0), np.float32(0.0)) == apply.ONE
    assert apply.clip_factor(np.float32(1.0), np.float32(0.0)) == 0
    v = np.array([-(2**30), 2**30, 5], np.int64)
    assert np.array_equal(apply.clipped(v, apply.ONE, np.full(3, 2**32 - 1)), v)
