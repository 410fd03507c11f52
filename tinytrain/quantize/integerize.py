"""dequantize -> operation -> quantize becomes one operation on s8.

Every f32 value is looked at as what it stands for:

- `dequantize(q)`: q itself;
- what works on integers as on real numbers (a move, a maximum) over such a value: the same on
  integers, at the same scale;
- a layer whose output has a quantization of its own, which only a `quantize` reads, perhaps through
  relu and moves: the s8 layer with that quantization, the relu in its clamp.

Which is which stands in the table of operations, as `Traits.integers`.

A relu before `quantize` is a bound on the integers after it, as rounding is monotone and zero is
exactly the zero point: quantize(max(x, 0)) = max(quantize(x), zero_point). For the same reason
moves and maxima may be taken before or after quantization.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.ops import Integers
from tinytrain.ir.ops_normalize import NORMALIZED
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.quantize.fuse_clamps import fuse_clamps
from tinytrain.quantize.integer_nodes import IntegerNodes, missing
from tinytrain.quantize.limits import check_kernels, check_scales
from tinytrain.quantize.names import name_layers
from tinytrain.quantize.origins import origins_of
from tinytrain.quantize.shared import SharedWeights, share_biases
from tinytrain.quantize.weights import IntegerWeights, integer_weights

_BOUNDS = frozenset({"relu", "relu6"})


def keeps_scale(node: Node) -> bool:
    """Whether an operation works on integers as on real numbers, at the scale of its input."""
    return traits_of(node).integers is Integers.SAME


class _Integerizer:
    def __init__(self, graph: Graph, least: Mapping[Value, np.ndarray]) -> None:
        self.graph = graph
        self.shared = SharedWeights(least)
        self.producers = graph.producers()
        self.users = graph.users()
        self.nodes = IntegerNodes(graph)
        self.done: dict[tuple[Value, Quantization | None], Value] = {}
        self.softmax = False
        self.coarser: list[int] = []

    # --- values -----------------------------------------------------------------------------------

    def integers(self, value: Value) -> Value:
        """The s8 value behind an f32 value that has a meaning in integers already."""
        key = (value, None)
        if key not in self.done:
            self.done[key] = self._integers(value)
        return self.done[key]

    def _integers(self, value: Value) -> Value:
        node = self.producers.get(value)
        if value in self.graph.constants:
            return self.nodes.constant(value)
        if node is None:
            reader = self.users[value][0]
            raise missing(reader, "reads the input of the model without a quantize between")
        if node.op == "dequantize":
            source = node.inputs[0]
            constant = source in self.graph.constants
            return self.nodes.constant(source) if constant else self.held(source)
        if keeps_scale(node):
            source = self.integers(node.inputs[0])
            return self.nodes.like(node, source, source.type.quantization)
        if node.op == "activation" and node.attrs["function"] in (*_BOUNDS, "identity"):
            # A relu that nothing quantizes, before an addition say: its input's scale serves.
            source = self.integers(node.inputs[0])
            return self.nodes.like(node, source, source.type.quantization)
        reader = next(iter(self.users.get(value, ())), node)
        what = f"yields numbers that '{reader.op}' reads without a quantize between"
        raise missing(node, what)

    def held(self, value: Value) -> Value:
        """The s8 value that stands for the output of a quantize node (or for an s8 input)."""
        node = self.producers.get(value)
        if node is None or node.op != "quantize":
            return value
        meaning = value.type.quantization
        assert meaning is not None
        return self.quantized(node.inputs[0], meaning, node)

    def quantized(self, value: Value, meaning: Quantization, reader: Node) -> Value:
        """The s8 value quantize(value) with this meaning."""
        key = (value, meaning)
        if key not in self.done:
            self.done[key] = self._quantized(value, meaning, reader)
        return self.done[key]

    def _quantized(self, value: Value, meaning: Quantization, reader: Node) -> Value:
        if value in self.graph.inputs:
            return self._input(value, meaning, reader)
        node = self.producers.get(value)
        if node is None:
            return self.nodes.constant(value)
        if self._has_integers(value):
            source = self.integers(value)
            if source.type.quantization == meaning:
                return source
            return self.nodes.rescaled(source, meaning, reader)
        if keeps_scale(node):
            return self.nodes.like(node, self.quantized(node.inputs[0], meaning, reader), meaning)
        if node.op == "activation":
            return self._quantized_activation(node, meaning, reader)
        if node.op == "l2_normalize" and meaning != NORMALIZED:
            return self.nodes.rescaled(self.quantized(value, NORMALIZED, reader), meaning, reader)
        if traits_of(node).integers is Integers.RESCALED:
            type_ = TensorType(node.output.type.shape, DType.S8, meaning)
            return self._compute(node, type_, meaning)
        raise missing(node, "cannot be computed on integers")

    def _has_integers(self, value: Value) -> bool:
        """True when the value is a move of dequantized integers."""
        node = self.producers.get(value)
        while node is not None and keeps_scale(node):
            node = self.producers.get(node.inputs[0])
        return node is not None and node.op == "dequantize"

    def _input(self, value: Value, meaning: Quantization, reader: Node) -> Value:
        """The graph's input becomes the s8 value that its first quantize would write."""
        current = self.done.get((value, None))
        if current is None:
            current = Value(value.name, TensorType(value.type.shape, DType.S8, meaning))
            self.done[value, None] = current
        if current.type.quantization == meaning:
            return current
        return self.nodes.rescaled(current, meaning, reader)

    # --- nodes ------------------------------------------------------------------------------------

    def _quantized_activation(self, node: Node, meaning: Quantization, reader: Node) -> Value:
        source = node.inputs[0]
        function, bounds = node.attrs["function"], _BOUNDS | {"clip", "identity"}
        if function not in bounds or self._has_integers(source):
            return self.nodes.like(node, self.integers(source), meaning)
        # relu of a layer that is not quantized in between: a bound on the layer's own output.
        unbounded = self.quantized(source, meaning, reader)
        return self.nodes.like(node, unbounded, meaning)

    def _weights(self, node: Node, x: Value) -> IntegerWeights:
        least = self.shared.least.get(node.inputs[1])
        return integer_weights(self.graph, self.producers, node, x, least)

    def _compute(self, node: Node, type_: TensorType, meaning: Quantization | None) -> Value:
        attrs = dict(node.attrs)
        if traits_of(node).has_weights:
            x = self.integers(node.inputs[0])
            weights = self.shared.add(node, self._weights(node, x))
            if weights.coarser:
                self.coarser.append(weights.coarser)
            self.nodes.constants[weights.w], self.nodes.constants[weights.b] = (
                weights.w_data,
                weights.b_data,
            )
            return self.nodes.emit(node, node.op, [x, weights.w, weights.b], type_, **attrs)
        inputs = [self.integers(value) for value in node.inputs]
        if node.op == "concatenate":
            assert meaning is not None
            # The kernel copies bytes: every input needs the quantization of the output.
            inputs = [
                x if x.type.quantization == meaning else self.nodes.rescaled(x, meaning, node)
                for x in inputs
            ]
        return self.nodes.emit(node, node.op, inputs, type_, **attrs)

    # --- the whole --------------------------------------------------------------------------------

    def _follows_softmax(self, quantize: Node) -> bool:
        """Whether it rounds a softmax, perhaps one that was moved or rounded already."""
        before = self.producers.get(quantize.inputs[0])
        while before is not None and (
            before.op in ("quantize", "dequantize") or traits_of(before).moves
        ):
            before = self.producers.get(before.inputs[0])
        return before is not None and before.op == "softmax"

    def _output(self, value: Value) -> Value:
        """The s8 (or s32) value of the model's output, with what follows the logits dropped."""
        node = self.producers.get(value)
        assert node is not None
        if node.op == "dequantize":
            source = node.inputs[0]
            quantize = self.producers.get(source)
            written = quantize is not None and quantize.op == "quantize"
            if quantize is not None and written and self._follows_softmax(quantize):
                return self._output(quantize.inputs[0])
            return self.held(source)
        if node.op == "softmax":
            self.softmax = True
            return self._output(node.inputs[0])
        if traits_of(node).has_weights:
            # A last layer whose output nothing quantizes keeps its exact accumulators.
            x = self.integers(node.inputs[0])
            w = self._weights(node, x).w
            assert x.type.quantization is not None and w.type.quantization is not None
            scales = np.float32(x.type.quantization.scale[0]) * np.asarray(
                w.type.quantization.scale, dtype=np.float32
            )
            rank = len(node.output.type.shape)
            meaning = Quantization(tuple(float(s) for s in scales), 0, rank - 1)
            return self._compute(node, TensorType(node.output.type.shape, DType.S32, meaning), None)
        if traits_of(node).moves and not self._has_integers(value):
            source = self._output(node.inputs[0])
            moved = source.type.quantization
            if moved is not None and moved.axis is not None:
                if (
                    not traits_of(node).same_bytes
                    or node.output.type.shape[-1] != source.type.shape[-1]
                ):
                    raise missing(node, "moves a last layer that is not quantized")
                moved = replace(moved, axis=len(node.output.type.shape) - 1)
            type_ = TensorType(node.output.type.shape, source.type.dtype, moved)
            return self.nodes.emit(node, node.op, [source], type_, **dict(node.attrs))
        return self.integers(value)

    def _notes(self) -> tuple[str, ...]:
        if not self.coarser:
            return ()
        return (
            f"{sum(self.coarser)} output channels in {len(self.coarser)} layers have almost no "
            "weights and a bias that fills an s32 accumulator; their scales were made coarser so "
            "that nothing overflows",
        )

    def bias_groups(self, result: Graph) -> list[list[int]]:
        """Layers that share weights and bias, by their numbers among those with weights."""
        layers = (node for node in result.nodes if traits_of(node).has_weights)
        numbers = {node.inputs[2]: number for number, node in enumerate(layers)}
        groups = (biases for biases in self.shared.biases.values() if len(biases) > 1)
        return [sorted(numbers[bias] for bias in biases) for biases in groups]

    def run(self) -> Graph:
        (output,) = self.graph.outputs
        for node in self.graph.nodes:
            # In order, so that no call goes deeper than from one quantize to the ones before it.
            if node.op == "quantize" and not self._follows_softmax(node):
                self.held(node.output)
        result = self._output(output)
        sources = tuple(self._source(given) for given in self.graph.inputs)
        origin = self.graph.source
        origin = replace(origin, notes=(*origin.notes, *self._notes()), softmax=self.softmax)
        nodes, constants = self.nodes.in_order(), self.nodes.constants
        return Graph(self.graph.name, sources, nodes, (result,), constants, source=origin)

    def _source(self, given: Value) -> Value:
        """The s8 input that an input has become."""
        source = self.done.get((given, None), given)
        if source.type.dtype is not DType.S8:
            reader = self.users[given][0]
            raise missing(reader, "reads the input of the model without a quantize between")
        return source


def integerize(graph: Graph) -> Graph:
    """Turns a QDQ graph into an s8 graph.

    Args:
        graph: f32 in and out, with `quantize` and `dequantize` around every layer, as `load_model`
            or `quantize_float` give it.

    Returns:
        a graph with an s8 input and an s8 output (s32, with one scale for each output, when the
        model does not quantize its last layer). Layers are named `conv_0`, `conv_1`, `dense_0`,
        `add_0` and so on in execution order. `source.softmax` says whether a softmax at the end was
        left out.

    Raises:
        ModelError: a layer without quantize or dequantize, too many products in one sum, or scales
            and extents that no kernel can work with.
    """
    return integerize_traced(graph)[0]


def integerize_traced(graph: Graph) -> tuple[Graph, dict[Value, Value]]:
    """What `integerize` gives, and for its values the f32 values of `graph` that they stand for."""
    check_scales(graph)
    made = _Integerizer(graph, {})
    whole = made.run()
    if apart := made.shared.apart():
        made = _Integerizer(graph, apart)
        whole = made.run()
    fused = fuse_clamps(whole)
    named = name_layers(fused)
    result = share_biases(named, made.bias_groups(whole))
    check_kernels(result)
    return result, origins_of(made.done, whole, fused, named)
