"""What works element by element, and its gradients, as calls of kernels."""

from __future__ import annotations

from collections.abc import Callable

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls import calls, requantization, rescale
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference import activations, elementwise
from tinytrain.reference.lowering import scale_of, zero_of

FactorsOf = Callable[[Value, Value, Value], tuple[tuple[int, int], int]]
"""From both operands and the result to the factors of the operands, and their shift."""


@calls("add")
def _add(context: EmitContext, node: Node) -> list[str]:
    return _sum(context, node, elementwise.add_factors)


@calls("subtract")
def _subtract(context: EmitContext, node: Node) -> list[str]:
    return _sum(context, node, elementwise.subtract_factors)


def _sum(context: EmitContext, node: Node, make: FactorsOf) -> list[str]:
    a, b = node.inputs
    (a_factor, b_factor), shift = make(a, b, node.output)
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
    requant = requantization(
        context, node, elementwise.multiply_requant(a, b, node.output), a, node.output
    )
    steps, places = broadcast_steps(a, b), context.places(a, b, node.output)
    return [context.kernel_call(node, requant, zero_of(b), *steps, *places)]


@calls("activation")
def _activation(context: EmitContext, node: Node) -> list[str]:
    x = node.inputs[0]
    table = context.array(f"{node.name}_table", activations.activation_table(node))
    return [context.kernel_call(node, table, context.size(x), *context.places(x, node.output))]


@calls("clamp_mask")
def _clamp_mask(context: EmitContext, node: Node) -> list[str]:
    y = node.inputs[0]
    places = context.places(y, node.output)
    return [context.kernel_call(node, context.size(y), *node.attrs["clamp"], *places)]


@calls("grad_clamp")
def _grad_clamp(context: EmitContext, node: Node) -> list[str]:
    g, y = node.inputs
    places = context.places(g, y, node.output)
    if y.type.dtype is DType.BIT:
        return [context.kernel_call(node, context.size(g), *places)]
    return [context.kernel_call(node, context.size(g), *node.attrs["clamp"], *places)]


@calls("grad_add")
def _grad_add(context: EmitContext, node: Node) -> list[str]:
    a, b = node.inputs
    scaling = rescale(context, node, 8), context.exponent(b.type.exponent)
    places = context.places(a, b, node.output)
    return [context.kernel_call(node, context.size(a), *scaling, *places)]


@calls("negate")
def _negate(context: EmitContext, node: Node) -> list[str]:
    g = node.inputs[0]
    return [context.kernel_call(node, context.size(g), *context.places(g, node.output))]


def slopes(context: EmitContext, node: Node) -> str:
    """The table of slopes."""
    return context.array(f"{node.layer}_slope", activations.activation_grad_table(node))


def slope_rescale(context: EmitContext, node: Node) -> str:
    """The address of a `tt_rescale`; for f32 gradients it holds the unit of the slopes alone."""
    shift = activations.slope_shift(node)
    if node.inputs[0].type.dtype is DType.F32 and shift != activations.SLOPE_SHIFT:
        return f"&(const tt_rescale){{0, {shift}, NULL, NULL}}"
    return rescale(context, node, shift)


@calls("activation_grad")
def _activation_grad(context: EmitContext, node: Node) -> list[str]:
    g, x = node.inputs
    head = slopes(context, node), context.size(g), slope_rescale(context, node)
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
