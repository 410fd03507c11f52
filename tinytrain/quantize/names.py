"""Names of layers: `conv_0`, `dense_0`, `add_0`, ... in execution order, by kind."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import traits_of


def name_layers(graph: Graph) -> Graph:
    """The same graph with nodes, layers and values named after their kind and number.

    Depthwise convolutions count as `conv`. A node's output is called `<name>_out`, its weights and
    bias `<name>_w` and `<name>_b`; constants that no node reads are left out.
    """
    counts: dict[str, int] = {}
    renamed: dict[Value, Value] = {}
    constants: dict[Value, np.ndarray] = {}
    nodes = []
    for node in graph.nodes:
        traits = traits_of(node)
        kind = traits.kind or node.op
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        name = f"{kind}_{number}"
        suffixes = ("x", "w", "b") if traits.has_weights else ("a", "b")
        for place, value in enumerate(node.inputs):
            if value in graph.constants and value not in renamed:
                suffix = suffixes[place] if place < len(suffixes) else f"in{place}"
                renamed[value] = Value(f"{name}_{suffix}", value.type)
                constants[renamed[value]] = graph.constants[value]
        output = node.output
        renamed[output] = Value(f"{name}_out", output.type)
        inputs = tuple(renamed.get(value, value) for value in node.inputs)
        nodes.append(
            replace(node, inputs=inputs, outputs=(renamed[output],), name=name, layer=name)
        )
    outputs = tuple(renamed.get(value, value) for value in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs, constants=constants)
