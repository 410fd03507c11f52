"""Grows a graph node by node; passes and autodiff use it so that names stay unique."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinytrain.errors import Where
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import TensorType


class GraphBuilder:
    """A graph under construction, at first a copy of another; its parts may be changed freely."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self.inputs = list(graph.inputs)
        self.nodes = list(graph.nodes)
        self.outputs = list(graph.outputs)
        self.constants = dict(graph.constants)
        self.parameters = dict(graph.parameters)
        self.updates = dict(graph.updates)
        self.source = graph.source
        self.target = graph.target
        self.fractions = dict(graph.fractions)
        self.gradients = dict(graph.gradients)
        self.accumulate = graph.accumulate
        self._values = {value.name for value in graph.values()}
        self._node_names = {node.name for node in graph.nodes}

    def value(self, name: str, type_: TensorType) -> Value:
        """A new value; a number is appended where the name is taken."""
        return Value(_unique(name, self._values), type_)

    def node(
        self,
        op: str,
        inputs: Sequence[Value],
        types: Sequence[TensorType],
        *,
        name: str,
        layer: str,
        where: Where | None = None,
        **attrs: Any,
    ) -> tuple[Value, ...]:
        """Appends a node and returns its outputs, which are named after it."""
        outputs = tuple(self.value(name, type_) for type_ in types)
        node_name = _unique(name, self._node_names)
        self.nodes.append(Node(op, tuple(inputs), outputs, attrs, node_name, layer, where))
        return outputs

    def constant(self, name: str, type_: TensorType, data: np.ndarray) -> Value:
        """Adds a constant."""
        value = self.value(name, type_)
        self.constants[value] = data
        return value

    def parameter(self, name: str, type_: TensorType, data: np.ndarray) -> Value:
        """Adds a parameter with its initial data."""
        value = self.value(name, type_)
        self.parameters[value] = data
        return value

    def input(self, name: str, type_: TensorType) -> Value:
        """Adds an input."""
        value = self.value(name, type_)
        self.inputs.append(value)
        return value

    def build(self) -> Graph:
        """The graph as it stands now."""
        return replace(
            self._graph,
            inputs=tuple(self.inputs),
            nodes=tuple(self.nodes),
            outputs=tuple(self.outputs),
            constants=dict(self.constants),
            parameters=dict(self.parameters),
            updates=dict(self.updates),
            source=self.source,
            target=self.target,
            fractions=dict(self.fractions),
            gradients=dict(self.gradients),
            accumulate=self.accumulate,
        )


def _unique(name: str, taken: set[str]) -> str:
    candidate, number = name, 1
    while candidate in taken:
        number += 1
        candidate = f"{name}_{number}"
    taken.add(candidate)
    return candidate
