"""Forward nodes as calls of kernels: one entry for each operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.reference import activations, convolution, elementwise, pooling
from tinytrain.reference.lowering import quantization, scale_of, zero_of

Call = Callable[[EmitContext, Node], list[str]]
CALLS: dict[str, Call] = {}


def calls(op: str) -> Callable[[Call], Call]:
    """Decorator: enters an operation into the table."""

    def enter(function: Call) -> Call:
        CALLS[op] = function
        return function

    return enter


def window(
    context: EmitContext,
    node: Node,
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    kernel: Sequence[int],
) -> str:
    """A `tt_window` for a node with the attributes of a convolution or a pooling."""
    dilation = node.attrs.get("dilation", (1, 1))
    whole = context.struct(
        "tt_window",
        f"{node.name}_window",
        {
            "in_h": x_shape[1],
            "in_w": x_shape[2],
            "in_c": x_shape[3],
            "out_h": y_shape[1],
            "out_w": y_shape[2],
            "out_c": y_shape[3],
            "kernel_h": kernel[0],
            "kernel_w": kernel[1],
            "stride_h": node.attrs["strides"][0],
            "stride_w": node.attrs["strides"][1],
            "dilation_h": dilation[0],
            "dilation_w": dilation[1],
            "pad_top": node.attrs["padding"][0],
            "pad_left": node.attrs["padding"][1],
            "groups": node.attrs.get("groups", 1),
        },
    )
    return context.stripe_window(whole)


def _requant(
    context: EmitContext,
    node: Node,
    tables: tuple[np.ndarray, np.ndarray] | None,
    x: Value,
    y: Value,
) -> str:
    multiplier = shift = "NULL"
    if tables is not None:
        multiplier = context.array(f"{node.name}_multiplier", tables[0].astype(np.int32))
        shift = context.array(f"{node.name}_shift", tables[1].astype(np.int8))
    return context.struct(
        "tt_requant",
        f"{node.name}_requant",
        {
            "multiplier": multiplier,
            "shift": shift,
            "input_zero": zero_of(x),
            "zero": zero_of(y),
            "lo": node.attrs["clamp"][0],
            "hi": node.attrs["clamp"][1],
        },
    )


def weight_parts(context: EmitContext, w: Value) -> list[tuple[str, str, int]]:
    """(weights, channels or NULL, count) of the weights, or of their trained and frozen part."""
    producer = context.graph.producers().get(w)
    if producer is None:
        count = w.type.shape[0] if w.type.shape[3] == 1 else w.type.shape[3]
        return [(context.place(w), "NULL", count)]
    axis = producer.attrs["axis"]
    chosen = producer.attrs["channels"]
    others = sorted(set(range(w.type.shape[axis])) - set(chosen))
    parts = []
    for value, channels, kind in zip(
        producer.inputs, (chosen, others), ("trained", "frozen"), strict=True
    ):
        name = context.array(f"{producer.layer}_{kind}_channels", np.array(channels, np.uint16))
        parts.append((context.place(value), name, len(channels)))
    return parts


def segments_of(context: EmitContext, w: Value) -> list[tuple[str, str, int]]:
    """(weights, channels or NULL, count) of each segment."""
    parts = weight_parts(context, w)
    return [(parts[0][0], "NULL", w.type.shape[3])] if len(parts) == 1 else parts


def segments(context: EmitContext, w: Value) -> tuple[str, int]:
    """An array of `tt_segment` and the number of them: in flash where all weights are frozen."""
    parts = segments_of(context, w)
    body = ", ".join(f"{{{weights}, {channels}, {count}, 0}}" for weights, channels, count in parts)
    if w in context.graph.constants:
        return context.segments(w, body), len(parts)
    return f"(const tt_segment[]){{{body}}}", len(parts)


@calls("conv2d")
def _conv2d(context: EmitContext, node: Node) -> list[str]:
    x, w, b = node.inputs
    y = node.output
    geometry = window(context, node, x.type.shape, y.type.shape, w.type.shape[1:3])
    places = *context.places(b, x, y), context.scratch(node)
    if y.type.dtype is DType.S32:
        requant = context.struct("tt_requant", f"{node.name}_requant", {"input_zero": zero_of(x)})
        operands = requant, *segments(context, w), *places, context.room(node)
        return [context.kernel_call(node, geometry, *operands)]
    requant = _requant(context, node, convolution.conv_requant(x, w, y), x, y)
    if is_depthwise(node):
        return [
            context.kernel_call(node, geometry, requant, *part, *places)
            for part in weight_parts(context, w)
        ]
    operands = requant, *segments(context, w), *places, context.room(node)
    return [context.kernel_call(node, geometry, *operands)]


@calls("add")
def _add(context: EmitContext, node: Node) -> list[str]:
    a, b = node.inputs
    (a_factor, b_factor), shift = elementwise.add_factors(a, b, node.output)
    lo, hi = node.attrs["clamp"]
    add = context.struct(
        "tt_add",
        f"{node.name}_add",
        {
            "a_factor": a_factor,
            "b_factor": b_factor,
            "shift": shift,
            "a_zero": zero_of(a),
            "b_zero": zero_of(b),
            "zero": zero_of(node.output),
            "lo": lo,
            "hi": hi,
        },
    )
    return [context.kernel_call(node, add, context.size(a), *context.places(a, b, node.output))]


def broadcast_steps(a: Value, b: Value) -> tuple[int, int, int, int]:
    """(rows, channels, row step of b, channel step of b) as in `tt_multiply_s8`."""
    channels = a.type.shape[-1]
    rows = a.type.size // channels
    if b.type.size == a.type.size:
        return rows, channels, channels, 1
    return rows, channels, 0, 0 if b.type.size == 1 else 1


@calls("multiply")
def _multiply(context: EmitContext, node: Node) -> list[str]:
    a, b = node.inputs
    requant = _requant(
        context, node, elementwise.multiply_requant(a, b, node.output), a, node.output
    )
    steps, places = broadcast_steps(a, b), context.places(a, b, node.output)
    return [context.kernel_call(node, requant, zero_of(b), *steps, *places)]


@calls("avg_pool2d")
def _avg_pool2d(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.output
    geometry = window(context, node, x.type.shape, y.type.shape, node.attrs["window"])
    requant = _requant(context, node, pooling.avg_pool_requant(node), x, y)
    include = int(node.attrs["count_include_pad"])
    return [context.kernel_call(node, geometry, requant, include, *context.places(x, y))]


@calls("max_pool2d")
def _max_pool2d(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.outputs[0]
    geometry = window(context, node, x.type.shape, y.type.shape, node.attrs["window"])
    winner = context.place(node.outputs[1]) if len(node.outputs) > 1 else "NULL"
    lo, hi = node.attrs["clamp"]
    return [context.kernel_call(node, geometry, lo, hi, *context.places(x, y), winner)]


CALLS["max_pool2d_winner"] = _max_pool2d


@calls("activation")
def _activation(context: EmitContext, node: Node) -> list[str]:
    x = node.inputs[0]
    table = context.array(f"{node.name}_table", activations.activation_table(node))
    return [context.kernel_call(node, table, context.size(x), *context.places(x, node.output))]


@calls("concatenate")
def _concatenate(context: EmitContext, node: Node) -> list[str]:
    axis, shape = node.attrs["axis"], node.output.type.shape
    element = node.output.type.dtype.numpy.itemsize
    rows = math.prod(shape[:axis])
    step = math.prod(shape[axis:]) * element
    lines, start, whole = [], 0, context.place(node.output)
    for value in node.inputs:
        nbytes = math.prod(value.type.shape[axis:]) * element
        target = f"(uint8_t *){whole} + {start}" if start else whole
        lines.append(
            context.kernel_call(node, rows, nbytes, context.place(value), nbytes, target, step)
        )
        start += nbytes
    return lines


@calls("slice")
def _slice(context: EmitContext, node: Node) -> list[str]:
    x, y, axis = node.inputs[0], node.output, node.attrs["axis"]
    element = x.type.dtype.numpy.itemsize
    rows = math.prod(x.type.shape[:axis])
    inner = math.prod(x.type.shape[axis + 1 :]) * element
    step, nbytes = x.type.shape[axis] * inner, y.type.shape[axis] * inner
    start = node.attrs["start"] * inner
    source = f"(const uint8_t *){context.place(x)} + {start}" if start else context.place(x)
    return [context.kernel_call(node, rows, nbytes, source, step, context.place(y), nbytes)]


@calls("gather_channels")
def _gather_channels(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.output
    channels = np.array(node.attrs["channels"], np.uint16)
    name = context.array(f"{node.layer}_trained_channels", channels)
    element = x.type.dtype.numpy.itemsize
    rows, total = x.type.size // x.type.shape[-1], x.type.shape[-1]
    shape = element, rows, total
    return [context.kernel_call(node, *shape, name, len(channels), *context.places(x, y))]


@calls("reshape")
@calls("merge_channels")
def _nothing(context: EmitContext, node: Node) -> list[str]:
    return []


@calls("transpose")
def _transpose(context: EmitContext, node: Node) -> list[str]:
    x, axes = node.inputs[0], node.attrs["axes"]
    missing = 4 - len(axes)
    shape = (1,) * missing + x.type.shape
    padded = tuple(range(missing)) + tuple(axis + missing for axis in axes)
    shape_name = context.array(f"{node.name}_shape", np.array(shape, np.uint16))
    axes_name = context.array(f"{node.name}_axes", np.array(padded, np.uint8))
    element = x.type.dtype.numpy.itemsize
    places = context.places(x, node.output)
    return [context.kernel_call(node, element, shape_name, axes_name, *places)]


@calls("dequantize")
def _dequantize(context: EmitContext, node: Node) -> list[str]:
    x, places = node.inputs[0], context.places(node.inputs[0], node.output)
    if x.type.dtype is DType.S8:
        scale = float_literal(scale_of(x))
        return [context.kernel_call(node, x.type.size, zero_of(x), scale, *places)]
    scales = np.array(quantization(x).scale, np.float32)
    name = context.array(f"{node.name}_scale", scales)
    return [context.kernel_call(node, x.type.size, scales.size, name, *places)]


@calls("clamp_mask")
def _clamp_mask(context: EmitContext, node: Node) -> list[str]:
    y = node.inputs[0]
    places = context.places(y, node.output)
    return [context.kernel_call(node, y.type.size, *node.attrs["clamp"], *places)]
