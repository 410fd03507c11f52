"""A sample of a model with several inputs as one array: the inputs one after the other.

That is how samples are stored, sent to a session and kept. Each input has the layout of the graph,
the channels of a map innermost. The one input of most models is packed as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinytrain.data import packing
from tinytrain.ir.graph import Graph, Value
from tinytrain.reference.conversion import quantize
from tinytrain.reference.lowering import scale_of, zero_of


def packed_size(values: Sequence[Value]) -> int:
    """Elements of a sample."""
    return sum(value.type.size for value in values)


def unpacked(values: Sequence[Value], samples: np.ndarray) -> dict[str, np.ndarray]:
    """The inputs of samples by name.

    Args:
        values: the inputs of a graph that hold a sample.
        samples: [N, ...], each of as many elements as they have.

    Returns:
        [N, ...], each in the shape of its input.
    """
    parts = packing.unpacked(samples, [value.type.shape for value in values])
    return {value.name: part for value, part in zip(values, parts, strict=True)}


def step_inputs(graph: Graph, sample: np.ndarray, wanted: np.ndarray) -> dict[str, np.ndarray]:
    """What a training graph is run with, by name.

    Args:
        sample: [...], of as many elements as the inputs that hold it.
        wanted: the target, of as many elements as it has.
    """
    assert graph.target is not None, "a training graph has a target"
    target = np.reshape(wanted, graph.target.type.shape)
    return {**unpacked(graph.sample, sample[None]), graph.target.name: target}


def quantized(values: Sequence[Value], samples: np.ndarray) -> np.ndarray:
    """Packed samples as the integers of a graph, int8 in the shape of `samples`.

    Args:
        values: the s8 inputs of the graph.
        samples: float32 [N, ...] in the model's units.
    """
    found = unpacked(values, samples)
    integers = [quantize(found[value.name], zero_of(value), scale_of(value)) for value in values]
    return packing.packed(integers).reshape(samples.shape)
