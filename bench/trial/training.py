"""Fifty steps on clusters: does the loss fall."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType
from tinytrain.losses import SampleTarget
from tinytrain.passes.base import Runner
from tinytrain.reference.interpret import Machine

STEPS = 50
CLUSTERS = 4
SAMPLES = 16
ENDS = 10
NOISE = 0.2
"""Deviation of a cluster, as a share of the deviation of its centres."""


@dataclass(frozen=True)
class Training:
    """What fifty steps did.

    Attributes:
        scheme, loss: that the model was compiled with.
        rate: the suggested one.
        before, after: mean loss of the first and the last ten steps.
        warnings: what the compiler says of it.
    """

    scheme: str
    loss: str
    rate: float
    before: float
    after: float
    warnings: tuple[str, ...]

    @property
    def falls(self) -> bool:
        """Whether it learns."""
        return self.after < self.before


def train(forward: Graph, samples: np.ndarray, outputs: np.ndarray) -> Training:
    """Trains the head and two layers before it at the suggested rate, as the device does.

    Args:
        forward: s8, from `to_integers`.
        samples: s8 [N, ...], of which the first four are the centres.
        outputs: reals [N, outputs] that the model gives, for the targets of a regression.
    """
    layers = sum(traits_of(node).has_weights for node in forward.nodes)
    options = Options(
        scheme=f"last-{min(layers - 1, 2)}" if layers > 1 else "head",
        loss=forward.source.loss,
    )
    compiled = build_step(forward, options, Runner(), samples)
    machine = _Trained(compiled.graph, rate=float(np.float32(compiled.rate)), seed=0)
    machine.scales.update({name: replace(scale) for name, scale in compiled.scales.items()})
    (x,), target = compiled.graph.sample, compiled.graph.target
    assert target is not None
    generator = np.random.default_rng(1)
    centres = _centres(samples, x.type.shape, generator)
    targets = _targets(compiled, outputs, generator)
    noise = generator.standard_normal((SAMPLES, *x.type.shape)) * NOISE * max(centres.std(), 1.0)
    data = np.clip(np.rint(np.resize(centres, noise.shape) + noise), -128, 127).astype(np.int8)
    losses = []
    for step in range(STEPS):
        # A prime stride: no two steps in a row are of one cluster.
        number = step * 7919 % SAMPLES
        wanted = targets[number % CLUSTERS].astype(target.type.dtype.numpy)
        given = {x.name: data[number], target.name: wanted.reshape(target.type.shape)}
        losses.append(machine.step_on(number, given))
    ends = float(np.mean(losses[:ENDS])), float(np.mean(losses[-ENDS:]))
    return Training(options.scheme, options.loss, compiled.rate, *ends, compiled.warnings)


class _Trained(Machine):
    """A machine that computes frozen layers once for each sample."""

    def __init__(self, graph: Graph, **settings: Any) -> None:
        super().__init__(graph, **settings)
        changing = {*graph.parameters, graph.target}
        self._front: set[str] = set()
        for node in graph.nodes:
            if changing.isdisjoint(node.inputs):
                self._front.add(node.name)
            else:
                changing.update(node.outputs)
        tail = [node for node in graph.nodes if node.name not in self._front]
        self._read = {value for node in tail for value in node.inputs} | set(graph.outputs)
        self._kept: dict[int, dict[str, tuple[np.ndarray, ...]]] = {}
        self._sample = 0

    def step_on(self, sample: int, inputs: dict[str, np.ndarray]) -> float:
        """The loss of a step on a sample with this number."""
        self._sample = sample
        known = self.run(inputs)
        return float(known[self.graph.outputs[0]][0])

    def evaluate(self, node: Node, inputs: Sequence[np.ndarray]) -> tuple[np.ndarray, ...]:
        """See `Machine`; what nothing that trains reads is not kept."""
        if node.name not in self._front:
            return super().evaluate(node, inputs)
        kept = self._kept.setdefault(self._sample, {})
        if node.name in kept:
            return kept[node.name]
        results = super().evaluate(node, inputs)
        nothing = np.empty(0, np.int8)
        kept[node.name] = tuple(
            result if value in self._read else nothing
            for value, result in zip(node.outputs, results, strict=True)
        )
        return results


def _centres(
    samples: np.ndarray, shape: tuple[int, ...], generator: np.random.Generator
) -> np.ndarray:
    """Samples, each moved by its own offset a channel: networks that average see that, too."""
    given = samples[:CLUSTERS].reshape(-1, *shape) / 2.0
    channels = (len(given), *(1,) * (len(shape) - 1), shape[-1])
    return given + generator.uniform(-64, 64, channels)


def _targets(compiled: Compiled, outputs: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """The target of each cluster."""
    if compiled.wants is SampleTarget.LABEL:
        return np.arange(CLUSTERS) % compiled.classes
    if compiled.wants is SampleTarget.SHARES:
        return generator.integers(0, 2, (CLUSTERS, compiled.output_size))
    if compiled.wants is SampleTarget.PIXELS:
        classes = np.arange(CLUSTERS) % (compiled.output_size // compiled.pixels)
        return np.repeat(classes[:, None], compiled.pixels, axis=1)
    return _values(outputs, compiled.forward.outputs[0], generator)


def _values(outputs: np.ndarray, output: Value, generator: np.random.Generator) -> np.ndarray:
    """What the model gives to another centre, moved up, within what its output can say."""
    meaning = output.type.quantization
    assert meaning is not None
    low, high = -np.inf, np.inf
    size = max(float(outputs.std()), float(np.abs(outputs).max()) / 8, 1e-3)
    if output.type.dtype is DType.S8:
        low, high = (np.array([-128, 127]) - meaning.zero_point) * max(meaning.scale)
        size = max(size, (high - low) / 8)
    shifts = generator.uniform(0.5, 1.5, (CLUSTERS, 1)) * size
    return np.clip(np.roll(outputs[:CLUSTERS], 1, axis=0) + shifts, low, high)
