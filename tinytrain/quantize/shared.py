"""Layers that share weights: one s8 parameter with one scale, and one bias for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.quantize.weights import IntegerWeights


class SharedWeights:
    """What became of the weights and biases of a float graph, by the values that it has for them.

    Args:
        least: scales that weights must have at least, float32 [O].

    Attributes:
        biases: for each weights and bias the values of the bias, one for each layer that has both.
    """

    def __init__(self, least: Mapping[Value, np.ndarray]) -> None:
        self.least = least
        self.biases: dict[tuple[Value, Value], list[Value]] = {}
        self._uses: dict[Value, list[IntegerWeights]] = {}

    def add(self, node: Node, found: IntegerWeights) -> IntegerWeights:
        """The weights of a layer of the float graph: those of an earlier one where they are one."""
        _, w, b = node.inputs
        uses = self._uses.setdefault(w, [])
        if uses:
            first, number = uses[0], len(uses)
            same = first.w.type == found.w.type and np.array_equal(first.w_data, found.w_data)
            mine = first.w if same else replace(found.w, name=f"{found.w.name}_{number}")
            found = replace(found, w=mine, b=replace(found.b, name=f"{found.b.name}_{number}"))
        uses.append(found)
        self.biases.setdefault((w, b), []).append(found.b)
        return found

    def apart(self) -> dict[Value, np.ndarray]:
        """The scales that make one of the weights that are not yet: the coarsest of each channel.

        A scale is made coarser where a bias would overflow, which is another matter in each layer.
        """
        found = {}
        for value, uses in self._uses.items():
            if len({use.w for use in uses}) > 1:
                scales = [use.w.type.quantization for use in uses]
                rows = [np.array(q.scale, np.float32) for q in scales if q is not None]
                found[value] = np.max(rows, axis=0)
        return found


def share_biases(graph: Graph, groups: Sequence[Sequence[int]]) -> Graph:
    """The graph with one bias for each group, in the finest of the units that its layers need.

    A bias counts in s_x·s_w[o], and layers that share it read inputs of different scales. Each of
    them whose unit is another one reads it through a `rescale_bias`.

    Args:
        graph: s8.
        groups: numbers of layers, counted among those with weights.
    """
    layers = [node for node in graph.nodes if traits_of(node).has_weights]
    constants = dict(graph.constants)
    before: dict[Node, Node] = {}
    moved: dict[Node, Value] = {}
    for group in groups:
        members = [layers[number] for number in group]
        biases = [node.inputs[2] for node in members]
        data = np.array([constants.pop(bias) for bias in biases])
        units = np.array([_units(bias) for bias in biases])
        finest = units.argmin(axis=0)
        channels = np.arange(len(finest))
        meaning = Quantization(tuple(float(u) for u in units[finest, channels]), 0, 0)
        shared = Value(biases[0].name, replace(biases[0].type, quantization=meaning))
        constants[shared] = data[finest, channels]
        for node, bias in zip(members, biases, strict=True):
            moved[node] = shared
            if bias.type.quantization != meaning:
                name = f"{node.name}_rescale_bias"
                type_ = TensorType(bias.type.shape, DType.S32, bias.type.quantization)
                moved[node] = Value(f"{node.name}_b_rescaled", type_)
                before[node] = Node(
                    "rescale_bias", (shared,), (moved[node],), {}, name, node.layer, node.where
                )
    nodes: list[Node] = []
    for node in graph.nodes:
        if node in before:
            nodes.append(before[node])
        inputs = (*node.inputs[:2], moved[node]) if node in moved else node.inputs
        nodes.append(replace(node, inputs=inputs))
    return replace(graph, nodes=tuple(nodes), constants=constants)


def _units(bias: Value) -> tuple[float, ...]:
    assert bias.type.quantization is not None
    return bias.type.quantization.scale
