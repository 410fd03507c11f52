"""Between which numbers the outputs of a model lie, whatever it learns."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType
from tinytrain.reference.activations import activation_table
from tinytrain.reference.lowering import scale_of, zero_of


def output_range(graph: Graph) -> tuple[float, float] | None:
    """The smallest and the largest output, in real units; None where they leave as accumulators.

    Args:
        graph: an s8 forward graph.
    """
    output = graph.outputs[0]
    if output.type.dtype is not DType.S8:
        return None
    producers = graph.producers()
    node = producers.get(output)
    while node is not None and traits_of(node).moves and node.op != "concatenate":
        node = producers.get(node.inputs[0])
    low, high = (-128, 127) if node is None else node.attrs.get("clamp", (-128, 127))
    if node is not None and node.op == "activation":
        table = activation_table(node)
        low, high = int(table.min()), int(table.max())
    ends = np.float32(scale_of(output)) * (np.array([low, high], np.float32) - zero_of(output))
    return float(ends[0]), float(ends[1])
