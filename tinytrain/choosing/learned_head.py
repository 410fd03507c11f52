"""A fresh head that has learned a little, so that the layers before it are seen as they will learn.

The gradients that a head of random weights hands back are small. Once it has learned the samples,
those of all other layers are several times as large, of early layers more than of late ones, and
its own are smaller. Which layers keep others from learning shows only then (docs/choosing.md).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinytrain.autodiff.differentiate import Differentiate, Loss
from tinytrain.choosing.real_gradients import gradient_of, ordered_sum, unit_of
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import frozen_count, loss_index
from tinytrain.ir.types import DType
from tinytrain.passes.select_trainable import SelectTrainable
from tinytrain.reference.interpret import Machine
from tinytrain.reference.lowering import quantization
from tinytrain.reference.packed import step_inputs
from tinytrain.reference.warm_up import warm_up
from tinytrain.scheme.scheme import Scheme

PASSES = 8
"""Over the samples: 64 of them are 512 steps."""

RATE = 1.5
"""Of the first pass, over the mean squared gradient of a sample: for cross-entropy, whose curvature
is at most 1/2, near the fastest that converges. It falls from pass to pass, and steps settle."""


def learn_head(
    graph: Graph, samples: np.ndarray, targets: np.ndarray, loss: Loss, gradient: DType, seed: int
) -> tuple[Graph, float]:
    """Trains the head alone, step by step on one sample after another.

    The layers before it run once for each sample. Before each step the weights are rounded to what
    the graph holds, and what rounding leaves is kept.

    Args:
        graph: s8 forward graph.
        samples: s8 [N,...].
        targets: of each sample, as the device takes them.

    Returns:
        the graph with the head that has learned, and by how much the mean loss of the samples fell,
        in nats; the graph as it was and 0 where the loss did not fall.
    """
    head = Scheme("head", (), {})
    training = Differentiate(loss, gradient)(SelectTrainable(head, 0, seed)(graph))
    course = _Course(training, samples, targets, seed)
    before, energy = course.look()
    for left in range(PASSES if energy > 0.0 else 0, 0, -1):
        course.learn(RATE / energy * left / PASSES)
    after, _ = course.look()
    if not after < before:
        return graph, 0.0
    # A bias that trains has a scale, and one that does not has none: they are two values.
    learned = {w.name: held for w, held in course.weights.items()}
    constants = {value: learned.get(value.name, held) for value, held in graph.constants.items()}
    return replace(graph, constants=constants), before - after


class _Course:
    """Steps of a head on what the layers before it make of samples.

    Args:
        graph: whose head alone trains, with sums of gradients.
    """

    def __init__(self, graph: Graph, samples: np.ndarray, targets: np.ndarray, seed: int) -> None:
        count = frozen_count(graph, graph.nodes[: loss_index(graph)])
        before, after = graph.nodes[:count], graph.nodes[count:]
        known = {*graph.constants, *graph.parameters, *(v for n in after for v in n.outputs)}
        read = [value for node in after for value in node.inputs if value not in known]
        inputs = tuple(dict.fromkeys(read))
        self._graph = replace(graph, nodes=after, inputs=inputs)
        self._machine = Machine(self._graph)
        producers = graph.producers()
        self._sums = {w: [producers[one] for one in sums] for w, sums in graph.gradients.items()}
        for name, scale in warm_up(graph, samples, seed).items():
            self._machine.scales[name] = replace(scale)
        frozen = Machine(replace(graph, nodes=before, updates={}))
        given = [step_inputs(graph, *pair) for pair in zip(samples, targets, strict=True)]
        self._steps = [_only(inputs, one, frozen.run(one)) for one in given]
        self._units = {w: quantization(w).scales(w.type.shape[0]) for w in graph.gradients}
        self._real = {w: graph.parameters[w] * _spread(self._units[w], w) for w in graph.gradients}

    @property
    def weights(self) -> dict[Value, np.ndarray]:
        """As the graph holds them."""
        found = {}
        for w, real in self._real.items():
            most = np.iinfo(w.type.dtype.numpy).max
            whole = np.clip(np.rint(real / _spread(self._units[w], w)), -most, most)
            found[w] = whole.astype(w.type.dtype.numpy)
        return found

    def look(self) -> tuple[float, float]:
        """Mean loss of the samples, and mean squared gradient."""
        self._machine.parameters.update(self.weights)
        seen = [self._run(step) for step in self._steps]
        energies = [sum(ordered_sum(g**2) for g in found.values()) for _, found in seen]
        return _mean([loss for loss, _ in seen]), _mean(energies)

    def learn(self, rate: float) -> None:
        """One pass over the samples."""
        for step in self._steps:
            self._machine.parameters.update(self.weights)
            _, gradients = self._run(step)
            for w, found in gradients.items():
                self._real[w] = self._real[w] - rate * found

    def _run(self, step: Mapping[str, np.ndarray]) -> tuple[float, dict[Value, np.ndarray]]:
        """The loss of a sample and the gradient of each parameter."""
        machine = self._machine
        exponents = {name: scale.exponent for name, scale in machine.scales.items()}
        known = machine.run(step)
        found: dict[Value, np.ndarray] = {}
        for w, sums in self._sums.items():
            for node in sums:
                unit = unit_of(node.inputs[-1], exponents, machine.step.normaliser)
                found[w] = found.get(w, np.zeros(())) + gradient_of(node, known, unit)
        return float(known[self._graph.outputs[0]].ravel()[0]), found


def _only(
    inputs: Sequence[Value], given: Mapping[str, np.ndarray], known: Mapping[Value, np.ndarray]
) -> dict[str, np.ndarray]:
    return {v.name: known[v] if v in known else given[v.name] for v in inputs}


def _spread(units: np.ndarray, parameter: Value) -> np.ndarray:
    """Units by output channel, so that they multiply a parameter."""
    return units.reshape(-1, *[1] * (len(parameter.type.shape) - 1))


def _mean(values: Sequence[float]) -> float:
    return ordered_sum(np.array(values)) / len(values)
