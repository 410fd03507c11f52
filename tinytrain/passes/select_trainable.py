"""Turns the constants that an update scheme trains into parameters.

Of a layer that is trained in part, the chosen input channels become a parameter of their own and
`merge_channels` shows the layer its whole weights: RAM holds what is trained and nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinytrain.errors import ModelError, SchemeError
from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.reference.lowering import quantization, scale_of
from tinytrain.scheme.channels import choose_channels
from tinytrain.scheme.scheme import Scheme, Share


def weighted_layers(graph: Graph) -> list[str]:
    """Layers with weights in execution order; the last is the head.

    Raises:
        ModelError: there is none.
    """
    layers = [node.layer for node in graph.nodes if traits_of(node).has_weights]
    if not layers:
        raise ModelError(
            "the model has no layer with weights", help="there is nothing to train in it"
        )
    return layers


@dataclass(frozen=True)
class SelectTrainable:
    """Constants become parameters; every trained weight gets storage for its fractional bits.

    Attributes:
        scheme: resolved against `weighted_layers`.
        fraction_bits: kept for each trained weight below its s8.
        seed: for schemes that choose channels at random.
    """

    scheme: Scheme
    fraction_bits: int
    seed: int
    name: ClassVar[str] = "select_trainable"
    summary: ClassVar[str] = (
        "makes parameters of the constants that the update scheme trains; `merge_channels` joins "
        "them with the frozen channels of their layer"
    )

    def __call__(self, graph: Graph) -> Graph:
        head = weighted_layers(graph)[-1]
        weights: Mapping[str, Share] = {**self.scheme.weights, head: Share()}
        biases = {*self.scheme.biases, head}
        _refuse_shared(graph, {*weights, *biases})
        builder = GraphBuilder(graph)
        builder.nodes = []
        fractions: dict[Value, Value] = {}
        for node in graph.nodes:
            if traits_of(node).has_weights and node.layer in weights:
                node = self._train_weights(builder, node, weights[node.layer], fractions)
            if traits_of(node).has_weights and node.layer in biases:
                node = self._train_bias(builder, node)
            builder.nodes.append(node)
        builder.fractions = fractions
        return builder.build()

    def _train_weights(
        self, builder: GraphBuilder, node: Node, share: Share, fractions: dict[Value, Value]
    ) -> Node:
        x, w, b = node.inputs
        data = builder.constants.pop(w)
        scale = quantization(w).scales(data.shape[0])
        size = np.abs(data * scale[:, None, None, None])
        depthwise = data.shape[3] == 1 and node.attrs["groups"] > 1
        # Row o of a depthwise layer reads channel o // multiple.
        multiple = data.shape[0] // x.type.shape[3] if depthwise else 1
        score = (
            size.reshape(-1, multiple * size[0].size).sum(axis=1)
            if depthwise
            else size.sum((0, 1, 2))
        )
        channels = choose_channels(node.layer, share, self.scheme.choice, score, self.seed)
        channels = tuple(c * multiple + k for c in channels for k in range(multiple))
        axis = 0 if depthwise else 3
        if len(channels) == data.shape[axis]:
            builder.parameters[w] = data
            self._add_fraction(builder, w, fractions)
            return node
        others = tuple(k for k in range(data.shape[axis]) if k not in set(channels))
        trained = self._part(builder, f"{w.name}_trained", w, data, axis, channels)
        frozen = self._part(builder, f"{w.name}_frozen", w, data, axis, others)
        builder.parameters[trained] = builder.constants.pop(trained)
        self._add_fraction(builder, trained, fractions)
        merged = replace(w, name=f"{w.name}_merged")
        builder.nodes.append(
            Node(
                "merge_channels",
                (trained, frozen),
                (merged,),
                {"axis": axis, "channels": channels},
                f"{node.name}_merge",
                node.layer,
                node.where,
            )
        )
        return replace(node, inputs=(x, merged, b))

    @staticmethod
    def _train_bias(builder: GraphBuilder, node: Node) -> Node:
        x, w, bias = node.inputs
        scale = scale_of(x) * quantization(w).scales(bias.type.size)
        meaning = Quantization(tuple(float(s) for s in scale), axis=0)
        trained = replace(bias, type=replace(bias.type, quantization=meaning))
        builder.parameters[trained] = builder.constants.pop(bias)
        return replace(node, inputs=(x, w, trained))

    @staticmethod
    def _part(
        builder: GraphBuilder,
        name: str,
        w: Value,
        data: np.ndarray,
        axis: int,
        indices: tuple[int, ...],
    ) -> Value:
        part = np.ascontiguousarray(np.take(data, indices, axis=axis))
        meaning = quantization(w)
        if axis == 0 and meaning.axis == 0:
            meaning = replace(meaning, scale=tuple(meaning.scale[k] for k in indices))
        return builder.constant(name, TensorType(part.shape, w.type.dtype, meaning), part)

    def _add_fraction(self, builder: GraphBuilder, w: Value, fractions: dict[Value, Value]) -> None:
        if self.fraction_bits:
            size = (w.type.size * self.fraction_bits + 7) // 8
            type_ = TensorType((size,), DType.U8)
            fractions[w] = builder.parameter(f"{w.name}_fraction", type_, np.zeros(size, np.uint8))


def _refuse_shared(graph: Graph, layers: set[str]) -> None:
    readers: dict[Value, list[str]] = {}
    for node in graph.nodes:
        for value in node.inputs[1:]:
            if traits_of(node).has_weights and value in graph.constants:
                readers.setdefault(value, []).append(node.layer)
    for value, names in readers.items():
        trained = [name for name in names if name in layers]
        if len(names) > 1 and trained:
            raise SchemeError(
                f"layers {', '.join(names)} share '{value.name}', and '{trained[0]}' is trained",
                help="export the model with a copy of the weights for each layer, or freeze "
                "all of them",
            )
