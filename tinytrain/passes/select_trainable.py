"""Turns the constants that an update scheme trains into parameters.

Of a layer that is trained in part, the chosen input channels become a parameter of their own and
`merge_channels` shows the layer its whole weights: RAM holds what is trained and nothing else.

Layers that share weights train them together where the scheme names one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.build import GraphBuilder
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.passes.shared_layers import SharedLayers
from tinytrain.reference.convolution import bias_requant, rescale_bias
from tinytrain.reference.lowering import quantization, scale_of
from tinytrain.scheme.channels import by_channel, choose_channels
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


def channel_multiple(node: Node) -> int | None:
    """How many rows of a depthwise layer's weights read each input channel; None of any other."""
    x, w = node.inputs[0].type, node.inputs[1].type
    if w.shape[3] == 1 and node.attrs["groups"] > 1:
        return w.shape[0] // x.shape[3]
    return None


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
        shared = SharedLayers(graph)
        trained = {head: Share()} if self.scheme.trains_head else {}
        weights = shared.weights({**self.scheme.weights, **trained})
        biases = shared.biases({*self.scheme.biases, *trained})
        return _Selection(self, graph, weights, biases).run()


class _Selection:
    """One run of the pass: what has become of the constants so far.

    Args:
        weights, biases: by layer what is trained of its weights, and layers whose bias is.
    """

    def __init__(
        self,
        options: SelectTrainable,
        graph: Graph,
        weights: Mapping[str, Share],
        biases: Collection[str],
    ) -> None:
        self.options, self.graph = options, graph
        self.weights, self.biases = weights, biases
        self.builder = GraphBuilder(graph)
        self.builder.nodes = []
        self.fractions: dict[Value, Value] = {}
        self.parts: dict[Value, tuple[Value, Value, int, tuple[int, ...]]] = {}
        self.trained: dict[Value, Value] = {}

    def run(self) -> Graph:
        rescaled = {node.inputs[0] for node in self.graph.nodes if node.op == "rescale_bias"}
        readers = self.graph.users()
        for node in self.graph.nodes:
            if node.op == "rescale_bias":
                if any(reader.layer in self.biases for reader in readers[node.output]):
                    self._train(node.inputs[0], node.inputs[0])
                else:
                    self._fold(node)
                    continue
            if traits_of(node).has_weights and node.layer in self.weights:
                node = self._train_weights(node, self.weights[node.layer])
            if traits_of(node).has_weights and node.layer in self.biases:
                node = self._train_bias(node, rescaled)
            self.builder.nodes.append(node)
        self.builder.fractions = self.fractions
        for value in rescaled - self._read() - self.trained.keys():
            del self.builder.constants[value]
        return self.builder.build()

    def _read(self) -> set[Value]:
        return {value for node in self.builder.nodes for value in node.inputs}

    def _fold(self, node: Node) -> None:
        """A frozen bias in other units is another constant."""
        m, s = bias_requant(node.inputs[0], node.output)
        data = rescale_bias(self.graph.constants[node.inputs[0]], m, s)
        self.builder.constants[node.output] = data

    def _train(self, constant: Value, parameter: Value) -> Value:
        """The parameter in the place of a constant; the first one that was made of it."""
        if constant not in self.trained:
            self.trained[constant] = parameter
            self.builder.parameters[parameter] = self.builder.constants.pop(constant)
        return self.trained[constant]

    def _train_weights(self, node: Node, share: Share) -> Node:
        x, w, b = node.inputs
        if w in self.trained:
            return node
        if w not in self.parts:
            data = self.builder.constants[w]
            axis, channels = self._channels(node, data, share)
            if len(channels) == data.shape[axis]:
                self._train(w, w)
                self._add_fraction(w)
                return node
            self.parts[w] = (*self._split(w, axis, channels), axis, channels)
        trained, frozen, axis, channels = self.parts[w]
        merged = self.builder.value(f"{w.name}_merged", w.type)
        self.builder.nodes.append(
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

    def _channels(self, node: Node, data: np.ndarray, share: Share) -> tuple[int, tuple[int, ...]]:
        """The axis of a layer's weights along which a part trains, and the indices that do."""
        w = node.inputs[1]
        scale = quantization(w).scales(data.shape[0])
        size = np.abs(data * scale[:, None, None, None])
        multiple = channel_multiple(node)
        score = by_channel(size, multiple)
        choice, seed = self.options.scheme.choice, self.options.seed
        channels = choose_channels(node.layer, share, choice, score, seed)
        if multiple is None:
            return 3, channels
        return 0, tuple(c * multiple + k for c in channels for k in range(multiple))

    def _split(self, w: Value, axis: int, channels: tuple[int, ...]) -> tuple[Value, Value]:
        """The trained and the frozen part of weights."""
        builder, data = self.builder, self.builder.constants.pop(w)
        others = tuple(k for k in range(data.shape[axis]) if k not in set(channels))
        trained = self._part(f"{w.name}_trained", w, data, axis, channels)
        frozen = self._part(f"{w.name}_frozen", w, data, axis, others)
        builder.parameters[trained] = builder.constants.pop(trained)
        self._add_fraction(trained)
        return trained, frozen

    def _train_bias(self, node: Node, rescaled: Collection[Value]) -> Node:
        x, w, bias = node.inputs
        if bias not in self.graph.constants:
            return node  # it reads a parameter in other units
        parameter = bias
        if bias not in rescaled:
            scale = scale_of(x) * quantization(w).scales(bias.type.size)
            meaning = Quantization(tuple(float(s) for s in scale), axis=0)
            parameter = replace(bias, type=replace(bias.type, quantization=meaning))
        return replace(node, inputs=(x, w, self._train(bias, parameter)))

    def _part(
        self, name: str, w: Value, data: np.ndarray, axis: int, indices: tuple[int, ...]
    ) -> Value:
        part = np.ascontiguousarray(np.take(data, indices, axis=axis))
        meaning = quantization(w)
        if axis == 0 and meaning.axis == 0:
            meaning = replace(meaning, scale=tuple(meaning.scale[k] for k in indices))
        return self.builder.constant(name, TensorType(part.shape, w.type.dtype, meaning), part)

    def _add_fraction(self, w: Value) -> None:
        bits = self.options.fraction_bits
        if bits:
            size = (w.type.size * bits + 7) // 8
            type_ = TensorType((size,), DType.U8)
            fraction = self.builder.parameter(f"{w.name}_fraction", type_, np.zeros(size, np.uint8))
            self.fractions[w] = fraction
