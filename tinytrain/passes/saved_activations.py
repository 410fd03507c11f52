"""Decides what a clamp's gradient reads: the saved output itself, or one bit an element.

The output is kept for the backward pass anyway where a weight gradient or another derivative reads
it. Elsewhere a mask of one bit an element replaces it, and the output can die in the forward pass.
Both give the same gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, TensorType


@dataclass(frozen=True)
class SavedActivations:
    """Every `grad_clamp` reads what costs least to keep."""

    name: ClassVar[str] = "saved_activations"
    summary: ClassVar[str] = "saves one bit an element where nothing else needs an activation"

    def __call__(self, graph: Graph) -> Graph:
        kept = {node.inputs[k] for node in graph.nodes for k in traits_of(node).saves}
        for node in reversed(graph.nodes):
            # Of the same bytes, what keeps one keeps the other.
            if traits_of(node).same_bytes and node.output in kept:
                kept.add(node.inputs[0])
        builder = GraphBuilder(graph)
        builder.nodes = []
        producers = graph.producers()
        early: dict[str, list[Node]] = {}
        for node in graph.nodes:
            if node.op == "grad_clamp" and node.inputs[1] not in kept:
                gradient, y = node.inputs
                (mask,) = builder.node(
                    "clamp_mask",
                    [y],
                    [TensorType(y.type.shape, DType.BIT)],
                    name=f"{node.layer}_mask",
                    layer=node.layer,
                    clamp=node.attrs["clamp"],
                )
                early.setdefault(producers[y].name, []).append(builder.nodes.pop())
                node = replace(node, inputs=(gradient, mask))
            builder.nodes.append(node)
        nodes = [item for node in builder.nodes for item in (node, *early.get(node.name, ()))]
        return replace(builder.build(), nodes=tuple(nodes))
