"""Forms a gradient sum and applies it in one node, so that dW never needs storage."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tinytrain.ir.graph import Graph, Node

_FUSED = {"conv2d_grad_weight": "sgd_weight", "bias_grad": "sgd_bias"}


@dataclass(frozen=True)
class FuseUpdates:
    """`X_grad` followed by its only user `sgd_*` becomes `X_grad_sgd`, at the place of the user."""

    name: ClassVar[str] = "fuse_updates"
    summary: ClassVar[str] = (
        "forms and applies a gradient in one node, so that no dW is ever stored"
    )

    def __call__(self, graph: Graph) -> Graph:
        users, outputs = graph.users(), set(graph.outputs)
        absorbed: dict[str, Node] = {}
        for node in graph.nodes:
            readers = users.get(node.outputs[0], [])
            only_reader = [reader.op for reader in readers] == [_FUSED.get(node.op)]
            if only_reader and node.output not in outputs:
                absorbed[readers[0].name] = node
        gone = {node.name for node in absorbed.values()}
        nodes = []
        for node in graph.nodes:
            gradient = absorbed.get(node.name)
            if gradient is not None:
                node = replace(
                    node,
                    op=f"{gradient.op}_sgd",
                    inputs=(*gradient.inputs, *node.inputs[1:]),
                    attrs={**gradient.attrs, **node.attrs},
                )
            if node.name not in gone:
                nodes.append(node)
        return replace(graph, nodes=tuple(nodes))
