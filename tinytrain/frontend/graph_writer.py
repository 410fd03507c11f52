"""Writes an imported graph: unique names, one value or node at a time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinytrain.errors import Where
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.source import ModelSource
from tinytrain.ir.types import DType, Quantization, TensorType


class GraphWriter:
    """Collects inputs, constants and nodes, then gives the finished graph.

    Attributes:
        requantized: for values that stand for weights that were quantized again, the file's own.
    """

    def __init__(self, name: str, source: ModelSource) -> None:
        self.name = name
        self.source = source
        self.inputs: list[Value] = []
        self.constants: dict[Value, np.ndarray] = {}
        self.nodes: list[Node] = []
        self.requantized: dict[Value, np.ndarray] = {}
        self._taken: set[str] = set()
        self._counts: dict[str, int] = {}

    def unique(self, stem: str) -> str:
        """`stem` itself the first time, then `stem_1`, `stem_2`, and so on."""
        name, count = stem, 0
        while name in self._taken:
            count += 1
            name = f"{stem}_{count}"
        self._taken.add(name)
        return name

    def numbered(self, kind: str) -> str:
        """`kind_0`, `kind_1`, and so on: names of layers."""
        number = self._counts.get(kind, 0)
        self._counts[kind] = number + 1
        return f"{kind}_{number}"

    def value(self, stem: str, type_: TensorType) -> Value:
        """A value with a name of its own."""
        return Value(self.unique(stem), type_)

    def input(self, stem: str, type_: TensorType) -> Value:
        """A value given from outside."""
        value = self.value(stem, type_)
        self.inputs.append(value)
        return value

    def constant(
        self,
        stem: str,
        data: np.ndarray,
        dtype: DType,
        quantization: Quantization | None = None,
    ) -> Value:
        """A value with data that never changes; the data are converted to `dtype` unchecked."""
        held = np.ascontiguousarray(data, dtype=dtype.numpy)
        value = self.value(stem, TensorType(tuple(held.shape), dtype, quantization))
        self.constants[value] = held
        return value

    def node(
        self,
        op: str,
        inputs: Iterable[Value],
        type_: TensorType,
        attrs: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
        result: str | None = None,
        where: Where | None = None,
    ) -> Value:
        """Appends a node with one output and returns that output.

        `result` is the name of the output; without it, the output is named after the node.
        """
        chosen = name or self.numbered(op)
        output = self.value(result or chosen, type_)
        self.nodes.append(
            Node(op, tuple(inputs), (output,), dict(attrs or {}), chosen, chosen, where)
        )
        return output

    def finish(self, outputs: Iterable[Value]) -> Graph:
        """The graph, without the constants that no node reads."""
        results = tuple(outputs)
        read = {value for node in self.nodes for value in node.inputs} | set(results)
        return Graph(
            name=self.name,
            inputs=tuple(self.inputs),
            nodes=tuple(self.nodes),
            outputs=results,
            constants={value: data for value, data in self.constants.items() if value in read},
            source=self.source,
        )
