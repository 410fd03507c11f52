"""Gradients and what waits in velocities, applied, as calls of kernels."""

from __future__ import annotations

import numpy as np

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls import calls, window
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.ops_update import VELOCITY_BITS
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType
from tinytrain.reference import adam, lowering
from tinytrain.reference.apply import momentum_factor
from tinytrain.reference.lowering import zero_of


def trained(context: EmitContext, w: Value, fraction: Value | None, bits: int) -> str:
    """The address of a `tt_trained`."""
    low = context.place(fraction) if fraction is not None else "NULL"
    return f"&(tt_trained){{{context.place(w)}, {low}, {bits}}}"


def constants(context: EmitContext, node: Node, field: str, name: str, data: np.ndarray) -> str:
    """What an update multiplies by: an array in flash, or what a session with switches gives."""
    if context.switching is not None:
        return context.switching.given(context.updates[node.name], field)
    return context.array(name, data)


def index(context: EmitContext, node: Node) -> str:
    """The place of an update among the updates, or the one that a session with switches gives."""
    place = context.updates[node.name]
    return str(place) if context.switching is None else context.switching.given(place, "index")


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
        real = constants(context, node, "real", f"{target.name}_rate", rates.real) + channel
    else:
        mantissa, places = rates.multiplier.astype(np.int32), rates.shift.astype(np.int8)
        multiplier = constants(context, node, "multiplier", f"{target.name}_rate", mantissa)
        shift = constants(context, node, "shift", f"{target.name}_rate_shift", places) + channel
        multiplier += channel
    fields = [
        multiplier,
        shift,
        real,
        index(context, node),
        context.exponent(node.attrs["exponent"]),
        rates.sum_shift,
        int(Rounding(node.attrs["rule"]).is_random),
        context.update_health(node),
        part[1],
    ]
    return f"&(const tt_update){{{', '.join(map(str, fields))}}}"


def step_of(node: Node) -> str:
    """The address of the step that an update belongs to, with the rate that it takes."""
    return "&unit_step" if node.attrs.get("unit_rate") else "&state->step"


@calls("conv2d_grad_weight_sgd")
def _conv2d_grad_weight_sgd(context: EmitContext, node: Node) -> list[str]:
    x, g, w = node.inputs[:3]
    geometry = window(context, node, x.type.shape, g.type.shape, node.attrs["kernel"])
    positions = g.type.shape[1] * g.type.shape[2]
    rates = update(context, node, w, positions, g.type.dtype)
    fraction = node.inputs[3] if len(node.inputs) > 3 else None
    target = trained(context, w, fraction, node.attrs["fraction_bits"])
    places = *context.places(x, g), target, context.workspace(node)
    head = geometry, rates, step_of(node), zero_of(x), *places
    return [context.kernel_call(node, *head)]


@calls("bias_grad_sgd")
def _bias_grad_sgd(context: EmitContext, node: Node) -> list[str]:
    g, b = node.inputs
    channels = g.type.shape[-1]
    positions = g.type.size // channels
    rates = update(context, node, b, positions, g.type.dtype)
    head = positions, channels, rates, step_of(node)
    return [context.kernel_call(node, *head, *context.places(g, b))]


def _rule(context: EmitContext, node: Node, decay: float) -> str:
    """The initialiser of a `tt_apply_rule`."""
    fields = [
        index(context, node),
        int(Rounding(node.attrs["rule"]).is_random),
        momentum_factor(node.attrs["momentum"]),
        float_literal(decay),
    ]
    return f"{{{', '.join(map(str, fields))}}}"


def _apply(context: EmitContext, node: Node, decay: float) -> tuple[str, str, str]:
    factor = context.place(node.inputs[0]) if node.attrs["clip"] else "NULL"
    return f"&(const tt_apply_rule){_rule(context, node, decay)}", "&state->step", factor


def _adam(context: EmitContext, node: Node, decay: float, shared: int) -> tuple[str, str]:
    """The rule and the step; `shared`: elements that share a second moment."""
    window, inverse = context.accumulation_window, float_literal(float(adam.inverse(shared)))
    if context.switching is not None:
        inverse = context.switching.given(context.updates[node.name], "inverse")
    rule = f"{_rule(context, node, decay)}, {window}, {inverse}"
    return f"&(const tt_adam_rule){{{rule}}}", "&state->step"


@calls("adam_weight")
def _adam_weight(context: EmitContext, node: Node) -> list[str]:
    bits = node.attrs["fraction_bits"]
    w, *rest = node.inputs
    fraction = rest.pop(0) if bits else None
    high, low, second = rest
    channels = w.type.shape[0]
    size = w.type.size // channels
    factors = lowering.adam_constants(node, context.accumulation_window)
    decay = float(lowering.accumulated_decay(node, context.accumulation_window))
    return [
        context.kernel_call(
            node,
            *(channels, size, *_adam(context, node, decay, size)),
            constants(context, node, "real", f"{w.name}_adam", factors),
            trained(context, w, fraction, bits),
            trained(context, high, low, VELOCITY_BITS),
            context.place(second),
        )
    ]


@calls("adam_bias")
def _adam_bias(context: EmitContext, node: Node) -> list[str]:
    b, size = node.inputs[0], node.inputs[0].type.size
    (factor,) = lowering.adam_constants(node, context.accumulation_window)
    constant = float_literal(float(factor))
    if context.switching is not None:
        constant = f"*{context.switching.given(context.updates[node.name], 'real')}"
    units = context.array(f"{b.name}_units", lowering.adam_units(node))
    head = size, *_adam(context, node, 0.0, size), units, constant
    return [context.kernel_call(node, *head, *context.places(*node.inputs))]


@calls("apply_weight")
def _apply_weight(context: EmitContext, node: Node) -> list[str]:
    bits = node.attrs["fraction_bits"]
    given = iter(node.inputs[int(node.attrs["clip"]) :])
    w = next(given)
    weights = trained(context, w, next(given) if bits else None, bits)
    velocity = "NULL"
    if node.attrs["velocity"]:
        velocity = trained(context, next(given), next(given), VELOCITY_BITS)
    decay = float(lowering.accumulated_decay(node, context.accumulation_window))
    return [
        context.kernel_call(node, w.type.size, *_apply(context, node, decay), weights, velocity)
    ]


@calls("apply_bias")
def _apply_bias(context: EmitContext, node: Node) -> list[str]:
    b, velocity = node.inputs[-2:]
    places = context.places(b, velocity)
    return [context.kernel_call(node, b.type.size, *_apply(context, node, 0.0), *places)]


@calls("clip_factor")
def _clip_factor(context: EmitContext, node: Node) -> list[str]:
    lines = ["float squares = 0;"]
    for value, units in lowering.velocity_units(node):
        array = context.array(f"{value.name}_units", units)
        channels = value.type.shape[0]
        if value.type.dtype is DType.S32:
            found = context.call("tt_squares_s32", channels, array, context.place(value))
        else:
            below = node.inputs[node.inputs.index(value) + 1]
            each = value.type.size // channels
            tensor = trained(context, value, below, VELOCITY_BITS)
            found = context.call("tt_squares_s8", channels, each, array, tensor)
        lines.append(f"squares += {found}")
    limit = float_literal(float(lowering.clip_limit(node, context.accumulation_window)))
    found = context.call("tt_clip_factor", "squares", f"state->step.rate * {limit}")
    place = context.place(node.output)
    return [*lines, f"*{place} = {found}"]
