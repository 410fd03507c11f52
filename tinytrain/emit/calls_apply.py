"""Nodes that apply a velocity as calls of kernels."""

from __future__ import annotations

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls_forward import calls
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.ops_update import VELOCITY_BITS
from tinytrain.ir.types import DType
from tinytrain.reference import lowering
from tinytrain.reference.apply import momentum_factor


def trained(context: EmitContext, w: Value, fraction: Value | None, bits: int) -> str:
    """The address of a `tt_trained`."""
    low = context.place(fraction) if fraction is not None else "NULL"
    return f"&(tt_trained){{{context.place(w)}, {low}, {bits}}}"


def _apply(context: EmitContext, node: Node, decay: float) -> tuple[str, str, str]:
    fields = [
        context.updates[node.name],
        int(node.attrs["rule"] == "stochastic"),
        momentum_factor(node.attrs["momentum"]),
        float_literal(decay),
    ]
    factor = context.place(node.inputs[0]) if node.attrs["clip"] else "NULL"
    return f"&(const tt_apply_rule){{{', '.join(map(str, fields))}}}", "&state->step", factor


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
