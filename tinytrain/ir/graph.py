"""The intermediate representation: values in single assignment, nodes, and a graph of them.

    graph      ::= inputs constants parameters nodes outputs updates
    node       ::= outputs "=" op inputs attrs
    value      ::= name ":" type
    constant   ::= value with data that never changes (flash)
    parameter  ::= value with initial data that training may change (RAM, initialised from flash)
    update     ::= parameter "<-" value: what the parameter becomes when the step ends

Everything is frozen. A pass builds a new graph and leaves its input as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinytrain.errors import Where
from tinytrain.ir.source import ModelSource
from tinytrain.ir.types import TensorType


@dataclass(frozen=True)
class Value:
    """One tensor: written once, by a node or from outside. Names are unique in a graph."""

    name: str
    type: TensorType

    def __hash__(self) -> int:
        # Of equal values the names are equal; hashing types too would take most of a search.
        return hash(self.name)

    def __str__(self) -> str:
        return f"%{self.name}"


@dataclass(frozen=True, eq=False)
class Node:
    """One operation.

    `name` is unique among nodes. `layer` is the forward layer that the node belongs to
    (`conv_21`, `dense_0`, `add_3`); backward and update nodes carry the layer that they serve.
    `attrs` hold plain Python values (int, float, str, bool, tuples of them).
    """

    op: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    attrs: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    layer: str = ""
    where: Where | None = None

    @property
    def output(self) -> Value:
        """The only output."""
        (value,) = self.outputs
        return value

    def with_attrs(self, **attrs: Any) -> Node:
        """The same node with some attributes changed."""
        return replace(self, attrs={**self.attrs, **attrs})


@dataclass(frozen=True, eq=False)
class Graph:
    """A valid graph lists its nodes in an order in which every value is written before it is read.

    Attributes:
        name: a C identifier.
        inputs: values given from outside at each step.
        constants: data that never changes.
        parameters: initial data of what training changes.
        nodes: the operations.
        outputs: values that leave the graph.
        updates: for a parameter, the value that replaces it when the step ends.
        source: where the model came from.
        target: the input that holds the label or target of a training step; None in inference.
        fractions: for a trained weight, the parameter that holds its fractional bits, if it has
            any.
        gradients: for a parameter, the values that hold the sum of its gradient, one for each layer
            that reads it, until the updates are there that read them.
        accumulate: steps whose mean gradient is applied together; 1 where none wait.
        rematerialized: for a node that runs for the second time, the node that it repeats; by name.
    """

    name: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    constants: Mapping[Value, np.ndarray] = field(default_factory=dict)
    parameters: Mapping[Value, np.ndarray] = field(default_factory=dict)
    updates: Mapping[Value, Value] = field(default_factory=dict)
    source: ModelSource = field(default_factory=ModelSource)
    target: Value | None = None
    fractions: Mapping[Value, Value] = field(default_factory=dict)
    gradients: Mapping[Value, tuple[Value, ...]] = field(default_factory=dict)
    accumulate: int = 1
    rematerialized: Mapping[str, str] = field(default_factory=dict)

    @property
    def sample(self) -> tuple[Value, ...]:
        """The inputs that hold a sample: all but the target."""
        return tuple(value for value in self.inputs if value != self.target)

    def producers(self) -> Mapping[Value, Node]:
        """The node that writes each value."""
        return self._producers

    @cached_property
    def _producers(self) -> Mapping[Value, Node]:
        return {value: node for node in self.nodes for value in node.outputs}

    def users(self) -> dict[Value, list[Node]]:
        """The nodes that read each value, in order; values that nothing reads are missing."""
        users: dict[Value, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                users.setdefault(value, []).append(node)
        return users

    def data(self, value: Value) -> np.ndarray | None:
        """Data of a constant or the initial data of a parameter; None for any other value."""
        found = self.constants.get(value)
        return self.parameters.get(value) if found is None else found

    def values(self) -> Iterator[Value]:
        """Every value once: inputs, constants, parameters, then results in node order."""
        yield from self.inputs
        yield from self.constants
        yield from self.parameters
        for node in self.nodes:
            yield from node.outputs


def last_use(graph: Graph) -> dict[Value, int]:
    """Index of the last node that reads a value; of its writer where nothing reads it."""
    last = dict.fromkeys(graph.inputs, 0)
    for index, node in enumerate(graph.nodes):
        for value in (*node.inputs, *node.outputs):
            last[value] = index
    return last


def needed_for(graph: Graph, values: Iterable[Value]) -> tuple[tuple[Node, ...], set[Value]]:
    """The nodes that values depend on, in their order, and those values with all that the nodes
    read."""
    live = set(values)
    nodes = []
    for node in reversed(graph.nodes):
        if any(value in live for value in node.outputs):
            live.update(node.inputs)
            nodes.append(node)
    return tuple(reversed(nodes)), live
