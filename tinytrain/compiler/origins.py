"""Which tensors of the model's file are trained: what `Device.state_dict` and `to_onnx` go by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinytrain.compiler.compiled import Compiled
from tinytrain.frontend.imported import Imported
from tinytrain.frontend.learned import MODEL, TENSORS, LearnedTensor, LearnedTensors, pack, part
from tinytrain.frontend.origins import LayerOrigin, Origin, find_origins
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.reference.lowering import quantization


def origin_files(imported: Imported, compiled: Compiled) -> Mapping[str, bytes]:
    """Files of a folder that lead back to the model's file; none where nothing can go back."""
    if imported.file is None:
        return {}
    files = {TENSORS: pack(learned_tensors(imported, compiled))}
    if imported.file.onnx is not None:
        files[MODEL] = imported.file.onnx
    return files


def learned_tensors(imported: Imported, compiled: Compiled) -> LearnedTensors:
    """The trained parameters of a model with what they are in its file."""
    origins, graph = find_origins(imported), compiled.graph
    layers = [node for node in graph.nodes if traits_of(node).has_weights]
    merges = {node.output: node for node in graph.nodes if node.op == "merge_channels"}
    tensors: list[LearnedTensor] = []
    lost: list[str] = []
    seen: set[Value] = set()
    for node in layers:
        trains = _trained_parts(graph, node, merges)
        number = _number(origins, layers, node)
        for is_bias, value, merge in trains:
            if value in seen:
                continue
            seen.add(value)
            found = None
            if number is not None and not (len(trains) == 2 and origins[number].is_lifted):
                is_fresh = compiled.options.classes is not None and node is layers[-1]
                base = _base(origins[number], is_bias=is_bias, fresh=value if is_fresh else None)
                found = base and _tensor(base, graph, value, merge, layer=number)
            if found is None:
                what = "bias" if is_bias else "weights"
                lost.append(
                    f"the {what} of layer '{node.layer}' cannot be told from what was folded into "
                    "them"
                )
            else:
                tensors.append(found)
    output = None if imported.file is None else imported.file.output
    return LearnedTensors(tuple(tensors), tuple(lost), output)


def _number(origins: Sequence[LayerOrigin], layers: Sequence[Node], node: Node) -> int | None:
    """Which layer of the file a layer is: the order may be another, the place in the file stays.

    What runs several times at one place, with the weights that it shares, runs in order.
    """
    at = [number for number, origin in enumerate(origins) if origin.where == node.where]
    here = [layer for layer in layers if layer.where == node.where]
    return at[here.index(node)] if len(at) == len(here) else None


def _trained_parts(
    graph: Graph, node: Node, merges: Mapping[Value, Node]
) -> list[tuple[bool, Value, Node | None]]:
    """What trains of a layer: whether it is the bias, the parameter, and what merges it."""
    _, w, b = node.inputs
    found: list[tuple[bool, Value, Node | None]] = []
    if w in graph.parameters:
        found.append((False, w, None))
    elif w in merges:
        found.append((False, merges[w].inputs[0], merges[w]))
    if b in graph.parameters:
        found.append((True, b, None))
    return found


def _base(origin: LayerOrigin, *, is_bias: bool, fresh: Value | None) -> LearnedTensor | None:
    """The whole tensor of a layer, before it is known what of it trains."""
    weights, bias = origin.weights, origin.bias
    beside = "" if weights is None else weights.source
    found = bias if is_bias else weights
    if found is None and is_bias and weights is not None and not origin.has_bias:
        found = _new_bias(weights)
    if found is None:
        return None
    if fresh is not None:
        found = _of_classes(found, fresh)
        if found is None:
            return None
    is_integer = found.held.dtype.kind != "f"
    real = found.held.astype(np.float64)
    if is_integer and fresh is None:
        real.reshape(-1)[found.index] = (
            found.factor * found.held.reshape(-1)[found.index] + found.offset
        )
    return LearnedTensor(
        parameter="",
        source=found.source,
        beside=beside,
        layer=0,
        is_bias=is_bias,
        axis=-1,
        channels=np.zeros(0, np.int64),
        is_integer=is_integer,
        is_fresh=fresh is not None,
        real=real.astype(np.float32),
        index=found.index,
        factor=found.factor,
        offset=found.offset,
        scale=np.ones(0),
    )


def _new_bias(weights: Origin) -> Origin | None:
    """A bias that the file does not have: what is folded into a row of the weights goes for it."""
    rows = weights.factor.reshape(len(weights.factor), -1)
    if not np.allclose(rows, rows[:, :1], rtol=1e-4):
        return None
    count = len(rows)
    return Origin(
        "", np.zeros(count, np.float32), np.arange(count), rows[:, 0].copy(), np.zeros(count)
    )


def _of_classes(origin: Origin, value: Value) -> Origin | None:
    """The origin of a head with as many outputs as the parameter has.

    None if what was folded in differs from output to output: there is none for a new one.
    """
    old, new = origin.index.shape[0], value.type.shape[0]
    rows = origin.factor.reshape(old, -1)
    is_float = origin.held.dtype.kind == "f"
    is_alike = np.allclose(rows, rows[:1], rtol=1e-4) and np.allclose(origin.offset, 0, atol=1e-5)
    if old < 2 or (is_float and not is_alike):
        return None
    places = np.stack(np.unravel_index(origin.index.reshape(old, -1), origin.held.shape))
    moves = places[:, 1] - places[:, 0]
    axis = int(np.argmax(np.abs(moves).sum(axis=1)))
    along = np.zeros_like(places)
    along[axis] = np.arange(old)[:, None]
    first = np.broadcast_to(places[:, :1], places.shape)
    if origin.held.shape[axis] != old or not np.array_equal(places - along, first):
        return None
    shape = (*origin.held.shape[:axis], new, *origin.held.shape[axis + 1 :])
    rows_of_new = np.repeat(places[:, :1], new, axis=1)
    rows_of_new[axis] = np.arange(new)[:, None]
    index = np.ravel_multi_index(tuple(rows_of_new), shape)
    inner = origin.index.shape[1:]
    return Origin(
        origin.source,
        np.zeros(shape, origin.held.dtype),
        index.reshape(new, *inner),
        # Integers do not go back to a head with other scales: reals take their place.
        np.repeat(rows[:1] if is_float else 0 * rows[:1] + 1, new, axis=0).reshape(new, *inner),
        np.zeros((new, *inner)),
    )


def _tensor(
    base: LearnedTensor, graph: Graph, value: Value, merge: Node | None, *, layer: int
) -> LearnedTensor | None:
    """What trains of a whole tensor; None if it is not what the file's numbers give."""
    shape, data = value.type.shape, graph.parameters[value]
    axis, channels = -1, np.zeros(0, np.int64)
    if merge is not None:
        axis, channels = merge.attrs["axis"], np.asarray(merge.attrs["channels"], np.int64)
    chosen = replace(base, axis=axis, channels=channels, index=np.zeros(shape, np.int64))
    scales = np.asarray(quantization(value).scales(shape[0]), dtype=np.float64)
    scale = np.broadcast_to(scales.reshape((-1,) + (1,) * (len(shape) - 1)), shape)
    found = replace(
        chosen,
        parameter=value.name,
        layer=layer,
        index=part(chosen, base.index),
        factor=part(chosen, base.factor),
        offset=part(chosen, base.offset),
        scale=np.ascontiguousarray(scale),
    )
    return found if base.is_fresh or _is_same(found, data) else None


def _is_same(tensor: LearnedTensor, data: np.ndarray) -> bool:
    """Whether the file's numbers, quantized, are those that the device starts from."""
    held = tensor.real.reshape(-1)[tensor.index].astype(np.float64)
    real = held if tensor.is_integer else held * tensor.factor + tensor.offset
    apart = np.abs(real - data * tensor.scale)
    return bool(np.all(apart <= 0.6 * tensor.scale + 1e-5 * np.abs(real)))
