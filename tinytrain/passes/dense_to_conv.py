"""A dense layer becomes a convolution over a 1x1 map: one kernel, one derivative for both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of

_GEOMETRY = {"strides": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}


@dataclass(frozen=True)
class DenseToConv:
    """No `dense` is left. Maps between two of them stay 4-D: a reshape of a reshape is one."""

    name: ClassVar[str] = "dense_to_conv"
    summary: ClassVar[str] = (
        "makes a 1x1 convolution of each dense layer: one kernel and one derivative for both"
    )

    def __call__(self, graph: Graph) -> Graph:
        builder = GraphBuilder(graph)
        builder.nodes = []
        kernels = _kernels(builder, graph)
        source: dict[Value, Value] = {}
        for node in graph.nodes:
            if node.op == "dense":
                source[node.output] = _convert(builder, node, kernels[node.inputs[1]], source)
                continue
            builder.nodes.append(node)
            if traits_of(node).same_bytes:
                source[node.output] = source.get(node.inputs[0], node.inputs[0])
        return builder.build()


def _kernels(builder: GraphBuilder, graph: Graph) -> dict[Value, Value]:
    """For the weights of each dense layer those of its convolution, in the place of the former."""
    kernels: dict[Value, Value] = {}
    elsewhere = {value for node in graph.nodes if node.op != "dense" for value in node.inputs}
    for node in graph.nodes:
        w = node.inputs[1] if node.op == "dense" else None
        if w is None or w in kernels:
            continue
        outputs, inputs = w.type.shape
        type_ = replace(w.type, shape=(outputs, 1, 1, inputs))
        if w in elsewhere:
            kernels[w] = builder.value(f"{w.name}_kernel", type_)
        else:
            del builder.constants[w]
            kernels[w] = Value(w.name, type_)
        builder.constants[kernels[w]] = graph.constants[w].reshape(type_.shape)
    return kernels


def _convert(builder: GraphBuilder, node: Node, kernel: Value, source: dict[Value, Value]) -> Value:
    """Adds the convolution and a reshape of its map to what the layer gave; returns the map."""
    x, _, b = node.inputs
    y = node.output
    given = (1, 1, 1, x.type.shape[1])
    x_map = source.get(x, x)
    if x_map.type.shape != given:
        types = [replace(x.type, shape=given)]
        (x_map,) = builder.node("reshape", [x], types, name=f"{node.name}_map", layer=node.layer)
    y_map = builder.value(f"{y.name}_map", replace(y.type, shape=(1, 1, 1, y.type.shape[1])))
    attrs = {**_GEOMETRY, "clamp": node.attrs["clamp"]}
    builder.nodes.append(
        replace(node, op="conv2d", inputs=(x_map, kernel, b), outputs=(y_map,), attrs=attrs)
    )
    builder.nodes.append(
        Node("reshape", (y_map,), (y,), {}, f"{node.name}_flat", node.layer, node.where)
    )
    return y_map
