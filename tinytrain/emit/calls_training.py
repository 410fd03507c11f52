"""Backward and update nodes as calls of kernels."""

from __future__ import annotations

import numpy as np

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls_apply import trained
from tinytrain.emit.calls_forward import broadcast_steps, calls, segments, weight_parts, window
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.kernel.work import is_depthwise
from tinytrain.reference import activations, convolution, elementwise, lowering, pooling
from tinytrain.reference.lowering import scale_of, zero_of


def dtype_of(node: Node, index: int = 0) -> str:
    """Of an input, as names of kernels have it."""
    return node.inputs[index].type.dtype.value


def rescale(context: EmitContext, node: Node, shift: int, sums: str = "NULL") -> str:
    """The address of a `tt_rescale`; `sums`: where a kernel adds sums instead of rounding them."""
    source, target = node.inputs[0].type.exponent, node.output.type.exponent
    if target is None:
        return "NULL"
    slot = f"&state->scales[{context.scales[target]}]"
    return f"&(const tt_rescale){{{context.exponent(source)}, {shift}, {slot}, {sums}}}"


def factors_array(context: EmitContext, node: Node, found: lowering.Factors) -> str:
    """The array of a node's factors, integer or real."""
    is_real = node.inputs[0].type.dtype is DType.F32
    return context.array(f"{node.layer}_factors", found.real if is_real else found.integer)


def factors(context: EmitContext, node: Node, found: lowering.Factors) -> str:
    """The address of a `tt_factors`."""
    array = factors_array(context, node, found)
    is_real = node.inputs[0].type.dtype is DType.F32
    fields = {"integer": "NULL", "real": array} if is_real else {"integer": array, "real": "NULL"}
    return context.struct("tt_factors", f"{node.name}_factors", fields)


def update(
    context: EmitContext,
    node: Node,
    target: Value,
    positions: int,
    dtype: DType,
    part: tuple[str, str] = ("", "0"),
) -> str:
    """The address of a `tt_update`.

    Args:
        part: C expressions for the first output channel and the first element of the part of the
            tensor that is updated; without them all of it is.
    """
    rates = lowering.update_rates(node.attrs, target, positions, dtype)
    multiplier = shift = real = "NULL"
    channel = f" + {part[0]}" if part[0] else ""
    if dtype is DType.F32:
        real = context.array(f"{target.name}_rate", rates.real) + channel
    else:
        multiplier = context.array(f"{target.name}_rate", rates.multiplier.astype(np.int32))
        shift = context.array(f"{target.name}_rate_shift", rates.shift.astype(np.int8)) + channel
        multiplier += channel
    fields = [
        multiplier,
        shift,
        real,
        context.updates[node.name],
        context.exponent(node.attrs["exponent"]),
        rates.sum_shift,
        int(node.attrs["rule"] == "stochastic"),
        context.update_health(node),
        part[1],
    ]
    return f"&(const tt_update){{{', '.join(map(str, fields))}}}"


@calls("grad_clamp")
def _grad_clamp(context: EmitContext, node: Node) -> list[str]:
    g, y = node.inputs
    places = context.places(g, y, node.output)
    if y.type.dtype is DType.BIT:
        return [context.kernel_call(node, g.type.size, *places)]
    return [context.kernel_call(node, g.type.size, *node.attrs["clamp"], *places)]


@calls("grad_add")
def _grad_add(context: EmitContext, node: Node) -> list[str]:
    a, b = node.inputs
    scaling = rescale(context, node, 8), context.exponent(b.type.exponent)
    places = context.places(a, b, node.output)
    return [context.kernel_call(node, a.type.size, *scaling, *places)]


@calls("conv2d_grad_input")
def _conv2d_grad_input(context: EmitContext, node: Node) -> list[str]:
    g, w = node.inputs
    found = convolution.conv_factors(w, node.attrs["groups"], g.type.dtype)
    geometry = window(context, node, node.output.type.shape, g.type.shape, w.type.shape[1:3])
    scaling = factors(context, node, found), rescale(context, node, found.shift)
    places = *context.places(g, node.output), context.scratch(node)
    if is_depthwise(node):
        return [
            context.kernel_call(node, geometry, *part, *scaling, *places)
            for part in weight_parts(context, w)
        ]
    operands = *segments(context, w), *scaling, *places, context.room(node)
    return [context.kernel_call(node, geometry, *operands)]


@calls("conv2d_grad_weight_sgd")
def _conv2d_grad_weight_sgd(context: EmitContext, node: Node) -> list[str]:
    x, g, w = node.inputs[:3]
    geometry = window(context, node, x.type.shape, g.type.shape, node.attrs["kernel"])
    positions = g.type.shape[1] * g.type.shape[2]
    rates = update(context, node, w, positions, g.type.dtype)
    fraction = node.inputs[3] if len(node.inputs) > 3 else None
    target = trained(context, w, fraction, node.attrs["fraction_bits"])
    places = *context.places(x, g), target, context.scratch(node)
    head = geometry, rates, "&state->step", zero_of(x), *places
    return [context.kernel_call(node, *head)]


@calls("bias_grad_sgd")
def _bias_grad_sgd(context: EmitContext, node: Node) -> list[str]:
    g, b = node.inputs
    channels = g.type.shape[-1]
    positions = g.type.size // channels
    rates = update(context, node, b, positions, g.type.dtype)
    head = positions, channels, rates, "&state->step"
    return [context.kernel_call(node, *head, *context.places(g, b))]


@calls("avg_pool2d_grad")
def _avg_pool2d_grad(context: EmitContext, node: Node) -> list[str]:
    g, x = node.inputs[0], node.output
    found = pooling.avg_pool_factors(node)
    geometry = window(context, node, x.type.shape, g.type.shape, node.attrs["window"])
    include = int(node.attrs["count_include_pad"])
    scaling = rescale(context, node, found.shift)
    head = geometry, factors(context, node, found), include, scaling
    return [context.kernel_call(node, *head, *context.places(g, x))]


@calls("max_pool2d_grad")
def _max_pool2d_grad(context: EmitContext, node: Node) -> list[str]:
    g, winner = node.inputs
    geometry = window(context, node, node.output.type.shape, g.type.shape, node.attrs["window"])
    places = context.places(g, winner, node.output)
    return [context.kernel_call(node, geometry, rescale(context, node, 0), *places)]


@calls("activation_grad")
def _activation_grad(context: EmitContext, node: Node) -> list[str]:
    g, x = node.inputs
    table = context.array(f"{node.layer}_slope", activations.activation_grad_table(node))
    head = table, g.type.size, rescale(context, node, activations.SLOPE_SHIFT)
    return [context.kernel_call(node, *head, *context.places(g, x, node.output))]


def _other_factor(context: EmitContext, node: Node) -> tuple[object, ...]:
    other = node.inputs[1]
    mu, k = elementwise.multiply_mu(other)
    return zero_of(other), mu, float_literal(scale_of(other)), rescale(context, node, k)


@calls("multiply_grad")
def _multiply_grad(context: EmitContext, node: Node) -> list[str]:
    g, other = node.inputs
    head = *broadcast_steps(g, other), *_other_factor(context, node)
    return [context.kernel_call(node, *head, *context.places(g, other, node.output))]


@calls("multiply_grad_broadcast")
def _multiply_grad_broadcast(context: EmitContext, node: Node) -> list[str]:
    g, other = node.inputs
    channels = g.type.shape[-1]
    step = 1 if node.output.type.size == channels else 0
    head = g.type.size // channels, channels, step, *_other_factor(context, node)
    places = context.places(g, other, node.output)
    return [context.kernel_call(node, *head, *places)]
