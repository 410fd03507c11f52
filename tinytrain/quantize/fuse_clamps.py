"""A relu whose input has its own scale is a clamp of the layer before it."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import Quantization

_BOUNDS = ("relu", "relu6", "clip", "identity")


def clamp_of(
    function: str, meaning: Quantization, alpha: float = -math.inf, beta: float = math.inf
) -> tuple[int, int]:
    """Lowest and highest integer that an activation leaves: (-128, 127) narrowed by its bounds."""
    zero = meaning.zero_point
    low, high = -128, 127
    if function == "clip":
        bounds = (np.rint(bound / meaning.scale[0]) + zero for bound in (alpha, beta))
        low, high = (int(np.clip(bound, -128, 127)) for bound in bounds)
    if function in ("relu", "relu6"):
        low = max(low, zero)
    if function == "relu6":
        # Python rounds to even, as quantize does.
        high = min(high, zero + round(6.0 / meaning.scale[0]))
    return low, max(low, high)


def fuse_clamps(graph: Graph) -> Graph:
    """Merges each relu, relu6 or identity that keeps the quantization into the node before it.

    Where that node has other readers, or no clamp (a reshape), the activation stays, except that an
    identity, and a relu that bounds nothing, always goes.
    """
    readers: dict[Value, int] = dict.fromkeys(graph.outputs, 1)
    for node in graph.nodes:
        for value in node.inputs:
            readers[value] = readers.get(value, 0) + 1
    nodes: list[Node] = []
    at: dict[Value, int] = {}
    moved: dict[Value, Value] = {}
    for node in graph.nodes:
        node = replace(node, inputs=tuple(moved.get(value, value) for value in node.inputs))
        bounds = _bounds(node)
        if bounds is not None:
            source = node.inputs[0]
            place = at.get(source)
            before = nodes[place] if place is not None else None
            low, high = before.attrs.get("clamp", (-128, 127)) if before else (-128, 127)
            merged = max(low, bounds[0]), min(high, bounds[1])
            if merged == (low, high):
                moved[node.output] = source
                continue
            if before is not None and "clamp" in before.attrs and readers[source] == 1:
                assert place is not None
                nodes[place] = before.with_attrs(clamp=merged)
                readers[source] = readers.get(node.output, 0)
                moved[node.output] = source
                continue
        at[node.output] = len(nodes)
        nodes.append(node)
    outputs = tuple(moved.get(value, value) for value in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)


def _bounds(node: Node) -> tuple[int, int] | None:
    if node.op != "activation" or node.attrs["function"] not in _BOUNDS:
        return None
    meaning = node.inputs[0].type.quantization
    if meaning is None or meaning != node.output.type.quantization:
        return None
    attrs = node.attrs
    return clamp_of(attrs["function"], meaning, attrs["alpha"], attrs["beta"])
