"""Room to grow: coarser scales for what training makes larger than it is.

Scales are chosen for the numbers that a model has before it is trained on. A weight ends at 127 of
its scale, and an activation saturates at the end of its range, where its gradient stops too. Of a
trained model little grows any more; from random weights everything does.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.quantize.head import free_output, renamed
from tinytrain.quantize.integerize import keeps_scale
from tinytrain.quantize.ranges import UNSEEN, affine

_BOUNDED = ("sigmoid", "hard_sigmoid", "tanh")
"""Functions whose range no training widens."""


@dataclass(frozen=True)
class Headroom:
    """By what factors scales are widened, 1 or more.

    Attributes:
        weights: of the layers whose weights are trained. The ±127 of a channel reach this factor
            times its largest weight, or times 1/sqrt(I) for I inputs of the layer where that is
            more, so that a channel that starts at zero can learn.
        ranges: of the activations behind the first layer that is trained.
    """

    weights: float = 1.0
    ranges: float = 1.0

    @property
    def asked(self) -> bool:
        """Whether anything is widened."""
        return self.weights > 1.0 or self.ranges > 1.0


def with_headroom(
    graph: Graph,
    headroom: Headroom,
    *,
    layers: Sequence[str],
    weights: Collection[str],
    biases: Collection[str],
) -> Graph:
    """Widens the scales of a graph with quantize nodes.

    Trained weights become s8 constants with wide scales, a dequantize behind them. The output of
    the last layer is no longer quantized: its logits leave as s32 accumulators, which have no range
    to outgrow. A branch that only an addition reads gets at least the range of the sum, in both
    directions: where a residual branch starts at zero, calibration has seen nothing of it.

    Args:
        graph: f32 with quantize and dequantize around every layer; what `integerize` takes.
        headroom: the factors.
        layers: all layers with weights in order, named as `integerize` does.
        weights, biases: of these, the ones whose weights, or biases, are trained.

    Raises:
        ModelError: `integerize` makes other layers of the graph than it has.
    """
    names = layer_names(graph)
    if list(names.values()) != list(layers):
        raise ModelError(
            f"headroom cannot tell the layers apart: the model has {len(names)}, of which "
            f"quantization makes {len(layers)}",
            help="quantize each layer's output once, or compile without headroom",
        )
    # By their outputs, which stay the same values while nodes are replaced.
    trained = {node.output for node, name in names.items() if name in {*weights, *biases}}
    if headroom.weights > 1.0:
        wide = {node for node, name in names.items() if name in weights}
        graph = _widen_weights(graph, wide, headroom.weights)
    if headroom.ranges > 1.0:
        graph = _widen_ranges(graph, trained, headroom.ranges)
    return free_output(graph)


def layer_names(graph: Graph) -> dict[Node, str]:
    """The name that `integerize` gives to each layer with weights, in order."""
    counts: dict[str, int] = {}
    names = {}
    for node in graph.nodes:
        if traits_of(node).has_weights:
            kind = traits_of(node).kind or node.op
            names[node] = f"{kind}_{counts.get(kind, 0)}"
            counts[kind] = counts.get(kind, 0) + 1
    return names


# --- weights --------------------------------------------------------------------------------------


def _widen_weights(graph: Graph, layers: Collection[Node], factor: float) -> Graph:
    producers = graph.producers()
    constants = dict(graph.constants)
    widened: dict[Value, Value] = {}
    nodes: list[Node] = []
    for node in graph.nodes:
        if node in layers and node.inputs[1] not in widened:
            w = node.inputs[1]
            held, data = _wide(_real_weights(graph, producers, w), w.name, factor)
            constants[held] = data
            real = Value(f"{held.name}_f32", TensorType(w.type.shape, DType.F32))
            name = f"dequantize_{held.name}"
            nodes.append(Node("dequantize", (held,), (real,), {}, name, name, node.where))
            widened[w] = real
        # A frozen layer that shares the weights has to see the same ones.
        nodes.append(
            replace(node, inputs=tuple(widened.get(value, value) for value in node.inputs))
        )
    return replace(graph, nodes=tuple(nodes), constants=constants)


def _real_weights(graph: Graph, producers: Mapping[Value, Node], w: Value) -> np.ndarray:
    """float64 [O, ...], of f32 weights or of integers behind a dequantize."""
    node = producers.get(w)
    held = w if node is None else node.inputs[0]
    data = graph.constants[held].astype(np.float64)
    meaning = held.type.quantization
    if meaning is None:
        return data
    scales = meaning.scales(data.shape[0]).reshape(-1, *(1,) * (data.ndim - 1))
    return np.asarray((data - meaning.zero_point) * scales)


def _wide(real: np.ndarray, name: str, factor: float) -> tuple[Value, np.ndarray]:
    rows = np.abs(real).reshape(real.shape[0], -1)
    reach = factor * np.maximum(rows.max(axis=1), 1.0 / math.sqrt(rows.shape[1]))
    scales = (reach / 127).astype(np.float32)
    per_row = scales.astype(np.float64).reshape(-1, *(1,) * (real.ndim - 1))
    meaning = Quantization(tuple(float(scale) for scale in scales), 0, 0)
    stem = name.removesuffix("_s8")
    value = Value(f"{stem}_wide_s8", TensorType(real.shape, DType.S8, meaning))
    return value, np.rint(real / per_row).astype(np.int8)


# --- activations ----------------------------------------------------------------------------------


def _widen_ranges(graph: Graph, trained: Collection[Value], factor: float) -> Graph:
    """New quantizations for every quantize node behind a trained layer."""
    producers = graph.producers()
    moved = set(trained)
    for node in graph.nodes:
        if any(value in moved for value in node.inputs):
            moved.update(node.outputs)
    ranges: dict[Value, tuple[float, float]] = {}
    for node in graph.nodes:
        if node.op == "quantize" and node.inputs[0] in moved and node.output.type.dtype is DType.S8:
            found = _widened(node, producers, factor)
            if found is not None:
                ranges[node.output] = found
    for branch, total in _branches(graph).items():
        if branch in ranges and total in ranges:
            reach = max(map(abs, ranges[total]))
            seen = branch.type.quantization != UNSEEN
            low, high = ranges[branch] if seen else (0.0, 0.0)
            ranges[branch] = min(low, -reach), max(high, reach)
    widened = {
        value: replace(value, type=replace(value.type, quantization=affine(limits)))
        for value, limits in ranges.items()
    }
    return renamed(graph, widened)


def _limits(meaning: Quantization) -> tuple[float, float]:
    (scale,) = meaning.scale
    return scale * (-128 - meaning.zero_point), scale * (127 - meaning.zero_point)


def _widened(
    node: Node, producers: Mapping[Value, Node], factor: float
) -> tuple[float, float] | None:
    """The range of a quantize node, wider; None where it is bounded by a function."""
    meaning = node.output.type.quantization
    assert meaning is not None
    low, high = _limits(meaning)
    source = producers.get(node.inputs[0])
    while source is not None and keeps_scale(source):
        source = producers.get(source.inputs[0])
    function = source.attrs.get("function") if source is not None else None
    if function in _BOUNDED or (source is not None and source.op == "l2_normalize"):
        return None
    if function == "relu6":
        return factor * low, max(high, min(factor * high, 6.0))
    return factor * low, factor * high


def _branches(graph: Graph) -> dict[Value, Value]:
    """The s8 operand that only a sum or difference reads, and its s8 result, for each of them."""
    producers, users = graph.producers(), graph.users()
    found = {}
    for node in graph.nodes:
        if node.op not in ("add", "subtract"):
            continue
        total = node.output
        readers = users.get(total, [])
        while len(readers) == 1 and (keeps_scale(readers[0]) or readers[0].op == "activation"):
            total = readers[0].output
            readers = users.get(total, [])
        sums = [reader.output for reader in readers if reader.op == "quantize"]
        for value in node.inputs:
            source = producers.get(value)
            if source is not None and source.op == "dequantize" and users[value] == [node] and sums:
                found[source.inputs[0]] = sums[0]
    return found
