"""Quantizes a float model: puts quantize and dequantize where integers will be, from samples."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from tinytrain.errors import DataError, UsageError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.ops import Integers
from tinytrain.ir.ops_normalize import NORMALIZED
from tinytrain.ir.source import Calibration
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.quantize.integerize import keeps_scale
from tinytrain.quantize.ranges import LEAST, METHODS, Histogram, choose
from tinytrain.reference.float_forward import run_float
from tinytrain.reference.packed import packed_size, unpacked

_FIXED = {
    "sigmoid": Quantization((1 / 256,), -128),
    "hard_sigmoid": Quantization((1 / 256,), -128),
    "tanh": Quantization((1 / 128,), 0),
    "l2_normalize": NORMALIZED,
}
"""Functions and operations of known range, quantized as the TFLite 8-bit specification has it."""
_BOUNDS = ("relu", "relu6")
_BATCH = 16
_LARGEST_ACTIVATION = 2.0**37


def quantize_float(graph: Graph, samples: np.ndarray, method: str = "mse") -> Graph:
    """Inserts quantize and dequantize around every layer; `integerize` does the rest.

    Weights get symmetric s8 per output channel (in `integerize`), activations asymmetric s8 per
    tensor. A relu stays fused into the layer before it: its range starts at zero, zero point
    -128.
    Inputs of a concatenation share its quantization; reshape, transpose and max pooling keep
    that of their input. What the model has quantized already stays as it is.

    The range of an activation comes from its histogram (2048 bins) over all samples:

    - "mse": the range, of 81 shrunk versions of the observed one and then of each end alone, that
      has the least squared error of rounding and clipping (Nagel et al., "A White Paper on Neural
      Network Quantization", arXiv:2106.08295, section 3.1);
    - "minmax": everything that was observed (Jacob et al., arXiv:1712.05877);
    - "percentile": all but the outermost 0.01 % at each end (McKinstry et al., arXiv:1809.04191).

    Args:
        graph: a float model, or one that is partly quantized.
        samples: f32 [N, ...] in the graph's own layout (NHWC), N >= 1, in the model's units.

    Returns:
        the graph with quantize nodes; `source.calibration` says how.

    Raises:
        DataError: samples of another shape, or with NaN or infinity.
        UsageError: an unknown method.
    """
    if method not in METHODS:
        raise UsageError(
            f"there is no calibration method '{method}'",
            help="use " + ", ".join(sorted(METHODS)),
        )
    samples = _checked(graph, samples)
    sites = _sites(graph)
    meanings = _meanings(graph, sites, samples, method)
    notes = (*graph.source.notes, *_notes(meanings))
    source = replace(graph.source, notes=notes, calibration=Calibration(method, len(samples)))
    return replace(_insert(graph, meanings), source=source)


def _checked(graph: Graph, samples: np.ndarray) -> np.ndarray:
    samples = np.asarray(samples)
    wanted = graph.inputs[0].type.shape[1:] if len(graph.inputs) == 1 else ()
    size = packed_size(graph.inputs)
    # A vector comes as a map of height and width 1, and so does what holds several inputs.
    shapes = [wanted, (1,) * (3 - len(wanted)) + wanted, (size,), (1, 1, size)]
    if samples.ndim < 2 or len(samples) < 1 or samples.shape[1:] not in shapes:
        raise DataError(
            f"calibration samples have shape {tuple(samples.shape)}, the model takes (N, "
            f"{', '.join(map(str, wanted or (size,)))})",
            help="give at least one sample in the model's input shape",
        )
    if samples.dtype.kind not in "fiu" or not np.isfinite(samples).all():
        raise DataError(
            "calibration samples hold NaN, infinity or no numbers",
            help="calibrate with real inputs of the model",
        )
    return samples.astype(np.float32)


def _sites(graph: Graph) -> list[Value]:
    """The f32 values that have to become integers, in order."""
    users, producers = graph.users(), graph.producers()
    wanted: dict[Value, None] = {}

    def demand(value: Value) -> None:
        """Marks the value behind moves and maxima that needs a quantization of its own."""
        node = producers.get(value)
        while node is not None and keeps_scale(node):
            value = node.inputs[0]
            node = producers.get(value)
        if value in graph.constants or (node is not None and node.op == "dequantize"):
            return
        if node is not None and node.op == "softmax":
            return
        wanted.setdefault(value)

    for node in graph.nodes:
        if node.op == "softmax":
            demand(node.inputs[0])
        elif traits_of(node).integers is Integers.RESCALED and not _is_bound(node):
            data = node.inputs[:1] if traits_of(node).has_weights else node.inputs
            for value in data:
                demand(value)
        elif _is_bound(node) and not absorbed(node.inputs[0], users):
            demand(node.inputs[0])
    for value in graph.outputs:
        demand(value)
    return [value for value in graph.values() if value in wanted]


def _is_bound(node: Node) -> bool:
    return node.op == "activation" and node.attrs["function"] in _BOUNDS


def absorbed(value: Value, users: dict[Value, list[Node]]) -> bool:
    """True when only a relu reads the value, directly or behind moves: the relu's range is used."""
    readers = users.get(value, [])
    if len(readers) != 1:
        return False
    (reader,) = readers
    if keeps_scale(reader):
        return absorbed(reader.output, users)
    return _is_bound(reader)


def _batches(samples: np.ndarray) -> Iterator[np.ndarray]:
    for start in range(0, len(samples), _BATCH):
        yield samples[start : start + _BATCH]


def _meanings(
    graph: Graph, sites: list[Value], samples: np.ndarray, method: str
) -> dict[Value, Quantization]:
    producers = graph.producers()
    histograms = {value: Histogram() for value in sites}
    for observe in (Histogram.widen, Histogram.count):
        for batch in _batches(samples):
            with np.errstate(over="ignore", invalid="ignore"):
                # In float64, whose last bits depend on threads and processor as any sum's do, but
                # are rounded away in the float32 scales: the same model on every machine.
                known = run_float(graph, unpacked(graph.inputs, batch), dtype=np.float64)
            for value, histogram in histograms.items():
                _check_finite(known[value], producers.get(value))
                observe(histogram, known[value])
    meanings = {}
    for value, histogram in histograms.items():
        node = producers.get(value)
        known_as = "" if node is None else node.attrs.get("function", node.op)
        meanings[value] = _FIXED.get(known_as) or choose(histogram, method)
    users = graph.users()
    for node in reversed(graph.nodes):
        # Backwards, so that nested concatenations all get the quantization of the outermost.
        if node.op == "concatenate":
            _share(graph, node, meanings, users)
    return meanings


def _check_finite(values: np.ndarray, node: Node | None) -> None:
    # 255 steps of the largest scale, 2**30, are more than a range from -2**37 to 2**37.
    if not np.abs(values).max(initial=0.0) < _LARGEST_ACTIVATION:
        what = "the input" if node is None else f"'{node.op}'"
        raise DataError(
            f"the calibration samples make {what} NaN, infinite or larger than "
            f"{_LARGEST_ACTIVATION:.1e}",
            where=None if node is None else node.where,
            help="calibrate with real inputs of the model, in the units that it was trained on",
        )


def _notes(meanings: dict[Value, Quantization]) -> tuple[str, ...]:
    silent = [value.name for value, meaning in meanings.items() if meaning.scale[0] == LEAST]
    if not silent:
        return ()
    return (
        f"{len(silent)} activations, the first of them '{silent[0]}', are below {255 * LEAST:.1g} "
        "in every calibration sample: they become 0, and what lies behind them hardly sees the "
        "input (are the weights and the batch normalisations of the model those of training?)",
    )


def _share(
    graph: Graph, node: Node, meanings: dict[Value, Quantization], users: dict[Value, list[Node]]
) -> None:
    """Inputs that only the concatenation reads take over its quantization: no rescaling."""
    producers = graph.producers()
    carrier, seen = node.output, users.get(node.output, [])
    while carrier not in meanings and len(seen) == 1:
        carrier = seen[0].output
        seen = users.get(carrier, [])
    meaning = meanings.get(carrier)
    if meaning is None or (carrier is not node.output and meaning.zero_point == -128):
        # Behind a relu the range says nothing about the negative numbers before it.
        return
    for value in node.inputs:
        inner = producers.get(value)
        while inner is not None and keeps_scale(inner):
            value = inner.inputs[0]
            inner = producers.get(value)
        if value in meanings and len(users[value]) == 1 and value not in graph.inputs:
            meanings[value] = meaning


def _insert(graph: Graph, meanings: dict[Value, Quantization]) -> Graph:
    """Puts quantize and dequantize after every value that has a meaning."""
    moved: dict[Value, Value] = {}
    nodes: list[Node] = []

    def follow(value: Value) -> None:
        meaning = meanings.get(value)
        if meaning is None:
            return
        q = Value(f"{value.name}_s8", TensorType(value.type.shape, DType.S8, meaning))
        back = Value(f"{value.name}_f32", TensorType(value.type.shape, DType.F32))
        producer = graph.producers().get(value)
        where = producer.where if producer else None
        for op, source, result in (("quantize", value, q), ("dequantize", q, back)):
            name = f"{op}_{value.name}"
            nodes.append(Node(op, (source,), (result,), {}, name, name, where))
        moved[value] = back

    for value in graph.inputs:
        follow(value)
    for node in graph.nodes:
        inputs = tuple(moved.get(value, value) for value in node.inputs)
        if node.op == "quantize":
            inputs = node.inputs
        nodes.append(replace(node, inputs=inputs))
        follow(node.output)
    outputs = tuple(moved.get(value, value) for value in graph.outputs)
    return replace(graph, nodes=tuple(nodes), outputs=outputs)
