"""Grows a graph: starts from one, takes nodes and values with unique names, builds the result.

NOTE FOR THE FOUNDER: this file was rebuilt from its callers. Helper B overwrote the original at
18:27:37 by mistake and no copy was left. What no caller shows is a guess: the names of several
outputs of one node, and that `build` keeps constants that nothing reads. Put your own back if you
have it, and delete this note.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinytrain.errors import Where
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import TensorType


class GraphBuilder:
    """A graph under construction; its parts are plain lists and dictionaries to be changed."""

    def __init__(self, graph: Graph) -> None:
        self.name = graph.name
        self.inputs = list(graph.inputs)
        self.nodes = list(graph.nodes)
        self.outputs = list(graph.outputs)
        self.constants = dict(graph.constants)
        self.parameters = dict(graph.parameters)
        self.updates = dict(graph.updates)
        self.info = dict(graph.info)
        self._values = {value.name for value in graph.values()}
        self._nodes = {node.name for node in graph.nodes}

    def value(self, name: str, type_: TensorType) -> Value:
        """A value called `name`, or `name_1`, `name_2`, ... where that is taken."""
        return Value(_unique(name, self._values), type_)

    def input(self, name: str, type_: TensorType) -> Value:
        """A new value given from outside."""
        value = self.value(name, type_)
        self.inputs.append(value)
        return value

    def constant(self, name: str, type_: TensorType, data: np.ndarray) -> Value:
        """A new value with data that never changes."""
        value = self.value(name, type_)
        self.constants[value] = data
        return value

    def parameter(self, name: str, type_: TensorType, data: np.ndarray) -> Value:
        """A new value with initial data that training may change."""
        value = self.value(name, type_)
        self.parameters[value] = data
        return value

    def node(
        self,
        op: str,
        inputs: Sequence[Value],
        types: Sequence[TensorType],
        *,
        name: str,
        layer: str = "",
        where: Where | None = None,
        **attrs: Any,
    ) -> tuple[Value, ...]:
        """Appends a node and returns its outputs, named after it."""
        chosen = _unique(name, self._nodes)
        outputs = tuple(self.value(chosen, type_) for type_ in types)
        self.nodes.append(Node(op, tuple(inputs), outputs, attrs, chosen, layer, where))
        return outputs

    def build(self) -> Graph:
        """The graph as it stands."""
        return Graph(
            name=self.name,
            inputs=tuple(self.inputs),
            nodes=tuple(self.nodes),
            outputs=tuple(self.outputs),
            constants=dict(self.constants),
            parameters=dict(self.parameters),
            updates=dict(self.updates),
            info=dict(self.info),
        )


def _unique(name: str, taken: set[str]) -> str:
    chosen, count = name, 0
    while chosen in taken:
        count += 1
        chosen = f"{name}_{count}"
    taken.add(chosen)
    return chosen
