"""A dense layer becomes a convolution over a 1x1 map: one kernel, one derivative for both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of


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
        source: dict[Value, Value] = {}
        for node in graph.nodes:
            if node.op == "dense":
                self._convert(builder, graph, node, source)
            else:
                builder.nodes.append(node)
                if traits_of(node).same_bytes:
                    source[node.output] = source.get(node.inputs[0], node.inputs[0])
        return builder.build()

    def _convert(
        self, builder: GraphBuilder, graph: Graph, node: Node, source: dict[Value, Value]
    ) -> None:
        x, w, b = node.inputs
        data = graph.constants[w]
        kernel = (w.type.shape[0], 1, 1, w.type.shape[1])
        weights = Value(w.name, replace(w.type, shape=kernel))
        builder.constants[weights] = data.reshape(kernel)
        if not any(w in other.inputs for other in graph.nodes if other.op != "dense"):
            builder.constants.pop(w, None)
        origin = source.get(x, x)
        map_shape = (1, 1, 1, x.type.shape[1])
        if origin.type.shape == map_shape:
            x4 = origin
        else:
            (x4,) = builder.node(
                "reshape",
                [x],
                [replace(x.type, shape=map_shape)],
                name=f"{node.name}_map",
                layer=node.layer,
            )
        y = node.output
        y4 = builder.value(f"{y.name}_map", replace(y.type, shape=(1, 1, 1, y.type.shape[1])))
        attrs = {
            "strides": (1, 1),
            "padding": (0, 0, 0, 0),
            "dilation": (1, 1),
            "groups": 1,
            "clamp": node.attrs["clamp"],
        }
        builder.nodes.append(
            Node("conv2d", (x4, weights, b), (y4,), attrs, node.name, node.layer, node.where)
        )
        builder.nodes.append(
            Node("reshape", (y4,), (y,), {}, f"{node.name}_flat", node.layer, node.where)
        )
        source[y] = y4
