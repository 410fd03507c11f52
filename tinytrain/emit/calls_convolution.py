"""Convolutions and their gradients as calls of kernels."""

from __future__ import annotations

import numpy as np

from tinytrain.emit.calls import calls, factors, requantization, rescale, window
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.reference import convolution
from tinytrain.reference.lowering import zero_of


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
    if "follow" in node.attrs:
        return _followed(context, node)
    geometry = window(context, node, x.type.shape, y.type.shape, w.type.shape[1:3])
    places = *context.places(b, x, y), context.workspace(node)
    if y.type.dtype is DType.S32:
        requant = context.struct("tt_requant", f"{node.name}_requant", {"input_zero": zero_of(x)})
        operands = requant, *segments(context, w), *places, context.workspace_bytes(node)
        return [context.kernel_call(node, geometry, *operands)]
    requant = requantization(context, node, convolution.conv_requant(x, w, y), x, y)
    return _call(context, node, geometry, requant, places)


def convolution_call(context: EmitContext, node: Node, requant: str, bias: str) -> list[str]:
    """A convolution with another requantization and another bias than its own."""
    x, w, _ = node.inputs
    geometry = window(context, node, x.type.shape, node.output.type.shape, w.type.shape[1:3])
    places = bias, *context.places(x, node.output), context.workspace(node)
    return _call(context, node, geometry, requant, places)


def _call(
    context: EmitContext, node: Node, geometry: str, requant: str, places: tuple[str, ...]
) -> list[str]:
    w = node.inputs[1]
    if is_depthwise(node):
        return [
            context.kernel_call(node, geometry, requant, *part, *places)
            for part in weight_parts(context, w)
        ]
    operands = requant, *segments(context, w), *places, context.workspace_bytes(node)
    return [context.kernel_call(node, geometry, *operands)]


def _followed(context: EmitContext, node: Node) -> list[str]:
    """A convolution whose bias and multiplier lie in the state and follow drift."""
    assert context.following is not None
    x, w, _ = node.inputs
    y, offset = node.output, context.following.offset(node)
    _, s = convolution.conv_requant(x, w, y)
    shift = context.array(f"{node.name}_shift", s.astype(np.int8))
    fields = (
        f"state->follow_multiplier + {offset}",
        shift,
        *map(str, (zero_of(x), zero_of(y), *node.attrs["clamp"])),
    )
    requant = f"&(const tt_requant){{{', '.join(fields)}}}"
    return convolution_call(context, node, requant, f"state->follow_bias + {offset}")


@calls("rescale_bias")
def _rescale_bias(context: EmitContext, node: Node) -> list[str]:
    b = node.inputs[0]
    m, s = convolution.bias_requant(b, node.output)
    multiplier = context.array(f"{node.name}_multiplier", m.astype(np.int32))
    shift = context.array(f"{node.name}_shift", s.astype(np.int8))
    places = context.places(b, node.output)
    return [context.kernel_call(node, b.type.size, multiplier, shift, *places)]


@calls("conv2d_grad_input")
def _conv2d_grad_input(context: EmitContext, node: Node) -> list[str]:
    g, w = node.inputs
    found = convolution.conv_factors(w, node.attrs["groups"], g.type.dtype)
    geometry = window(context, node, node.output.type.shape, g.type.shape, w.type.shape[1:3])
    scaling = factors(context, node, found), rescale(context, node, found.shift)
    places = *context.places(g, node.output), context.workspace(node)
    if is_depthwise(node):
        return [
            context.kernel_call(node, geometry, *part, *scaling, *places)
            for part in weight_parts(context, w)
        ]
    operands = *segments(context, w), *scaling, *places, context.workspace_bytes(node)
    return [context.kernel_call(node, geometry, *operands)]
