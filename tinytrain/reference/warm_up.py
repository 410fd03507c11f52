"""Initial scales of the gradients: a few steps of the reference that train nothing.

Without them the first steps on the device would saturate until every scale had found its place.
"""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.types import DType
from tinytrain.reference.interpret import Machine
from tinytrain.reference.machine import Scale

STEPS = 8
_START = -20  # finer than any gradient of a normalised loss needs, so that peaks set the scales


def warm_up(graph: Graph, samples: np.ndarray | None, seed: int) -> dict[str, Scale]:
    """Scales after some steps at learning rate 0: until a step moves no exponent, and `STEPS` more.

    A scale that starts too fine rises by as much as the saturated peak shows, and the scales behind
    it follow a step later, so that there are at most about as many steps as scales in a row.

    Args:
        graph: a scheduled training graph.
        samples: s8 [N,...] inputs, taken in turn; uniform noise where there are none.
        seed: of noise, labels and targets.

    Returns:
        by the name of the exponent; empty with f32 gradients.
    """
    machine = Machine(graph, rate=0.0, seed=seed)
    if not machine.scales:
        return {}
    for scale in machine.scales.values():
        scale.exponent = _START
    generator = np.random.default_rng([seed, 0x5CA1E])
    steps = moved = 0
    while steps - moved < STEPS and steps < STEPS + 2 * len(machine.scales):
        before = [scale.exponent for scale in machine.scales.values()]
        machine.run(training_sample(graph, samples, steps, generator))
        steps += 1
        risen = [scale.exponent for scale in machine.scales.values()]
        if any(new > old for new, old in zip(risen, before, strict=True)):
            moved = steps
    return {
        name: Scale(scale.exponent, scale.running_max) for name, scale in machine.scales.items()
    }


def training_sample(
    graph: Graph, samples: np.ndarray | None, step: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Inputs of a training graph for one step: samples in turn or noise; labels in turn."""
    x, target = graph.inputs[0], graph.inputs[1]
    noise = generator.integers(-128, 128, x.type.shape)
    given = noise if samples is None else samples[step % len(samples)].reshape(x.type.shape)
    if target.type.dtype is DType.S32:
        # A prime stride visits the classes in a mixed order.
        wanted = np.array([step * 7919 % graph.outputs[1].type.size], np.int32)
    else:
        wanted = generator.standard_normal(target.type.shape).astype(np.float32)
    return {x.name: given.astype(np.int8), target.name: wanted}
