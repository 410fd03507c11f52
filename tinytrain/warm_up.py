"""Initial scales of the gradients: a few steps of the reference that train nothing.

Without them the first steps on the device would saturate until every scale had found its place.
"""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.types import DType
from tinytrain.reference.interpret import Machine, Scale

STEPS = 8
_START = -40  # 2^-40: finer than any gradient needs, so that the first peaks set the scales


def warm_up(graph: Graph, samples: np.ndarray | None, seed: int) -> dict[str, Scale]:
    """Scales after `STEPS` steps at learning rate 0.

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
    x, target = graph.inputs[0], graph.inputs[1]
    for step in range(STEPS):
        noise = generator.integers(-128, 128, x.type.shape)
        given = noise if samples is None else samples[step % len(samples)].reshape(x.type.shape)
        if target.type.dtype is DType.S32:
            wanted = np.array([step * 7919 % graph.outputs[1].type.size], np.int32)
        else:
            wanted = generator.standard_normal(target.type.shape).astype(np.float32)
        machine.run({x.name: given.astype(np.int8), target.name: wanted})
    return {name: Scale(scale.exponent, scale.running_max) for name, scale in machine.scales.items()}
