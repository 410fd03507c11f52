"""Initial scales of the gradients: a few steps of the reference that train nothing.

Without them the first steps on the device would saturate until every scale had found its place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Graph, Node, needed_for
from tinytrain.ir.operations import loss_index
from tinytrain.ir.types import DType
from tinytrain.reference import gradients, update
from tinytrain.reference.interpret import Machine
from tinytrain.reference.machine import Scale, rounding_nodes
from tinytrain.reference.packed import packed_size, unpacked

STEPS = 16
"""Enough that a step behind them saturates no more often than one behind many more."""

_FINEST = -60
_UNSEEN = -20  # finer than nearly any gradient of a normalised loss


def warm_up(graph: Graph, samples: np.ndarray | None, seed: int) -> dict[str, Scale]:
    """Scales after `STEPS` steps at learning rate 0, each a forward and a backward pass.

    Args:
        graph: a scheduled training graph.
        samples: s8 [N,...] inputs, of which evenly spread ones are taken; uniform noise where there
            are none.
        seed: of noise, labels and targets.

    Returns:
        by the name of the exponent; empty with f32 gradients.
    """
    rounded = [node.output for node in rounding_nodes(graph).values()]
    if not rounded:
        return {}
    nodes, _ = needed_for(graph, rounded)
    machine = _FittingMachine(replace(graph, nodes=nodes, updates={}), rate=0.0, seed=seed)
    for scale in machine.scales.values():
        scale.exponent = _FINEST
    generator = np.random.default_rng([seed, 0x5CA1E])
    taken = None if samples is None else samples[evenly_spread(len(samples), STEPS)]
    for step in range(STEPS):
        machine.run(training_sample(graph, taken, step, generator))
    found = {name: (scale.exponent, scale.running_max) for name, scale in machine.scales.items()}
    return {name: Scale(e, r) if r else Scale(_UNSEEN) for name, (e, r) in found.items()}


class _FittingMachine(Machine):
    """Its scales rise before a gradient is cut, and take their place at the first one.

    So what is behind a gradient never sees a wrong one, and one pass is enough at any depth.
    """

    def rescale(
        self, node: Node, sums: np.ndarray, shift: int, source: int, *, wide: bool = False
    ) -> np.ndarray:
        result = super().rescale(node, sums, shift, source, wide=wide)
        limit = gradients.limit(node.output.type.dtype.numpy)
        scale = self.scales[node.output.type.exponent or ""]
        while scale.peak > limit or (scale.peak and not scale.running_max):
            before = scale.exponent
            scale.exponent, scale.running_max = update.scales_end(
                before, scale.running_max, scale.peak, limit
            )
            if scale.exponent == before:
                break
            result = super().rescale(node, sums, shift, source, wide=wide)
        return result


def evenly_spread(count: int, wanted: int) -> np.ndarray:
    """Indices of `wanted` among `count` samples; some come more than once if there are fewer."""
    return np.linspace(0, count - 1, wanted).astype(int)


def training_sample(
    graph: Graph, samples: np.ndarray | None, step: int, generator: np.random.Generator
) -> dict[str, np.ndarray]:
    """Inputs of a training graph for one step: samples in turn or noise; labels in turn."""
    target = graph.target
    assert target is not None, "a training graph has a target"
    given = (
        generator.integers(-128, 128, (1, packed_size(graph.sample)))
        if samples is None
        else samples[step % len(samples)][None]
    )
    if target.type.dtype is DType.S32:
        # A prime stride visits the classes in a mixed order.
        wanted = np.array([step * 7919 % max(2, graph.outputs[1].type.size)], np.int32)
    elif target.type.dtype is DType.U8:
        classes = graph.outputs[1].type.size // target.type.size
        wanted = generator.integers(0, classes, target.type.shape).astype(np.uint8)
    elif graph.nodes[loss_index(graph)].op == "binary_cross_entropy":
        wanted = generator.integers(0, 2, target.type.shape).astype(np.float32)
    else:
        wanted = generator.standard_normal(target.type.shape).astype(np.float32)
    return {**unpacked(graph.sample, given.astype(np.int8)), target.name: wanted}
