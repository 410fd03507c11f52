"""The initial scales of the gradients: as good behind eighty layers as behind one, and as cheap."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.deep_networks import residual_step
from tinytrain.ir.graph import Graph
from tinytrain.reference.interpret import Machine
from tinytrain.reference.machine import Scale
from tinytrain.reference.warm_up import STEPS, training_sample, warm_up


def evaluations(monkeypatch: pytest.MonkeyPatch, graph: Graph) -> int:
    """How many nodes a warm-up evaluates."""
    count = 0
    plain = Machine.evaluate

    def counting(self, node, inputs):
        nonlocal count
        count += 1
        return plain(self, node, inputs)

    with monkeypatch.context() as patch:
        patch.setattr(Machine, "evaluate", counting)
        warm_up(graph, None, 0)
    return count


def test_work_grows_with_depth_as_the_network_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, three = (residual_step(tmp_path, blocks) for blocks in (2, 4, 8))
    first, second, third = (evaluations(monkeypatch, graph) for graph in (one, two, three))
    assert third - second == 2 * (second - first)
    assert third <= STEPS * len(three.nodes)


@pytest.mark.parametrize("gradient", ["s8", "s16"])
def test_first_steps_on_other_samples_hardly_saturate(tmp_path: Path, gradient: str) -> None:
    graph = residual_step(tmp_path, 12, gradient)
    machine = Machine(graph)
    for name, scale in warm_up(graph, None, 0).items():
        machine.scales[name] = Scale(scale.exponent, scale.running_max)
    generator = np.random.default_rng(1)
    steps = 20
    for step in range(steps):
        machine.run(training_sample(graph, None, step, generator))
    saturated = sum(health.saturated for health in machine.gradient_health)
    falls = sum(health.falls for health in machine.gradient_health)
    assert saturated < 0.05 * steps * len(machine.scales)
    assert falls < 2 * len(machine.scales)


def test_a_gradient_that_was_never_seen_begins_in_the_middle(tmp_path: Path) -> None:
    graph = residual_step(tmp_path, 1)
    dead = {value: np.zeros_like(data) for value, data in graph.parameters.items()}
    silent = replace(graph, parameters=dead)
    assert {scale.exponent for scale in warm_up(silent, None, 0).values()} == {-20}
