"""Backward and update nodes as calls of kernels."""

from __future__ import annotations

import numpy as np

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls_forward import broadcast_steps, calls, segments, weight_parts, window
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.plan.scratch import is_depthwise
from tinytrain.reference import lowering
from tinytrain.reference.lowering import scale_of, zero_of


def _dtype(node: Node, index: int = 0) -> str:
    return node.inputs[index].type.dtype.value


def _rescale(context: EmitContext, node: Node, shift: int) -> str:
    source, target = node.inputs[0].type.exponent, node.output.type.exponent
    if target is None:
        return "NULL"
    slot = f"&state->scales[{context.scales[target]}]"
    return f"&(const tt_rescale){{{context.exponent(source)}, {shift}, {slot}}}"


def _factors(context: EmitContext, node: Node, found: lowering.Factors) -> str:
    integer = real = "NULL"
    if node.inputs[0].type.dtype is DType.F32:
        real = context.array(f"{node.layer}_factors", found.real, node.layer)
    else:
        integer = context.array(f"{node.layer}_factors", found.integer, node.layer)
    return context.struct("tt_factors", f"{node.name}_factors", {"integer": integer, "real": real})


def _update(context: EmitContext, node: Node, trained: Value, positions: int, dtype: DType) -> str:
    rates = lowering.update_rates(node.attrs, trained, positions, dtype)
    multiplier = shift = real = "NULL"
    if dtype is DType.F32:
        real = context.array(f"{trained.name}_rate", rates.real, node.layer)
    else:
        multiplier = context.array(
            f"{trained.name}_rate", rates.multiplier.astype(np.int32), node.layer
        )
        shift = context.array(f"{trained.name}_rate_shift", rates.shift.astype(np.int8), node.layer)
    fields = [
        multiplier,
        shift,
        real,
        context.updates[node.name],
        context.exponent(node.attrs["exponent"]),
        rates.sum_shift,
        int(node.attrs["rule"] == "stochastic"),
    ]
    return f"&(const tt_update){{{', '.join(map(str, fields))}}}"


@calls("grad_clamp")
def _grad_clamp(context: EmitContext, node: Node) -> list[str]:
    g, y = node.inputs
    lo, hi = node.attrs["clamp"]
    out = context.place(node.output)
    if y.type.dtype is DType.BIT:
        return [
            f"tt_grad_clamp_mask_{_dtype(node)}({g.type.size}, {context.place(g)}, {context.place(y)}, {out});"
        ]
    places = f"{context.place(g)}, {context.place(y)}, {out}"
    return [f"tt_grad_clamp_{_dtype(node)}({g.type.size}, {lo}, {hi}, {places});"]


@calls("grad_add")
def _grad_add(context: EmitContext, node: Node) -> list[str]:
    a, b = node.inputs
    exponent = context.exponent(b.type.exponent)
    places = f"{context.place(a)}, {context.place(b)}, {context.place(node.output)}"
    return [
        f"tt_grad_add_{_dtype(node)}({a.type.size}, {_rescale(context, node, 8)}, {exponent}, {places});"
    ]


@calls("conv2d_grad_input")
def _conv2d_grad_input(context: EmitContext, node: Node) -> list[str]:
    g, w = node.inputs
    found = lowering.conv_factors(w, node.attrs["groups"], g.type.dtype)
    geometry = window(context, node, node.output.type.shape, g.type.shape, w.type.shape[1:3])
    tail = f"{_factors(context, node, found)}, {_rescale(context, node, found.shift)}, "
    places = f"{context.place(g)}, {context.place(node.output)}"
    if is_depthwise(node):
        return [
            f"tt_depthwise_conv2d_{_dtype(node)}_grad_input({geometry}, {weights}, {outputs}, {count}, {tail}{places});"
            for weights, outputs, count in weight_parts(context, w)
        ]
    body, count = segments(context, w)
    scratch = context.scratch(node)
    return [
        f"tt_conv2d_{_dtype(node)}_grad_input({geometry}, {body}, {count}, {tail}{places}, {scratch});"
    ]


@calls("conv2d_grad_weight_sgd")
def _conv2d_grad_weight_sgd(context: EmitContext, node: Node) -> list[str]:
    x, g, w = node.inputs[:3]
    geometry = window(context, node, x.type.shape, g.type.shape, node.attrs["kernel"])
    positions = g.type.shape[1] * g.type.shape[2]
    update = _update(context, node, w, positions, g.type.dtype)
    fraction = context.place(node.inputs[3]) if len(node.inputs) > 3 else "NULL"
    trained = f"&(tt_trained){{{context.place(w)}, {fraction}, {node.attrs['fraction_bits']}}}"
    head = f"{geometry}, {update}, &state->step, {zero_of(x)}, {context.place(x)}, {context.place(g)}, {trained}"
    if is_depthwise(node):
        return [f"tt_depthwise_conv2d_{_dtype(node, 1)}_grad_weight({head});"]
    return [f"tt_conv2d_{_dtype(node, 1)}_grad_weight({head}, {context.scratch(node)});"]


@calls("bias_grad_sgd")
def _bias_grad_sgd(context: EmitContext, node: Node) -> list[str]:
    g, b = node.inputs
    channels = g.type.shape[-1]
    positions = g.type.size // channels
    update = _update(context, node, b, positions, g.type.dtype)
    places = f"{context.place(g)}, {context.place(b)}"
    return [
        f"tt_bias_{_dtype(node)}_grad({positions}, {channels}, {update}, &state->step, {places});"
    ]


@calls("avg_pool2d_grad")
def _avg_pool2d_grad(context: EmitContext, node: Node) -> list[str]:
    g, x = node.inputs[0], node.output
    found = lowering.avg_pool_factors(node)
    geometry = window(context, node, x.type.shape, g.type.shape, node.attrs["window"])
    include = int(node.attrs["count_include_pad"])
    arguments = f"{geometry}, {_factors(context, node, found)}, {include}, {_rescale(context, node, found.shift)}"
    return [
        f"tt_avg_pool2d_{_dtype(node)}_grad({arguments}, {context.place(g)}, {context.place(x)});"
    ]


@calls("max_pool2d_grad")
def _max_pool2d_grad(context: EmitContext, node: Node) -> list[str]:
    g, winner = node.inputs
    geometry = window(context, node, node.output.type.shape, g.type.shape, node.attrs["window"])
    places = f"{context.place(g)}, {context.place(winner)}, {context.place(node.output)}"
    return [
        f"tt_max_pool2d_{_dtype(node)}_grad({geometry}, {_rescale(context, node, 0)}, {places});"
    ]


@calls("activation_grad")
def _activation_grad(context: EmitContext, node: Node) -> list[str]:
    g, x = node.inputs
    table = context.array(f"{node.layer}_slope", lowering.activation_grad_table(node), node.layer)
    places = f"{context.place(g)}, {context.place(x)}, {context.place(node.output)}"
    return [
        f"tt_lookup_{_dtype(node)}_grad({table}, {g.type.size}, {_rescale(context, node, 6)}, {places});"
    ]


@calls("multiply_grad")
def _multiply_grad(context: EmitContext, node: Node) -> list[str]:
    g, other = node.inputs
    mu, k = lowering.multiply_mu(other)
    steps = ", ".join(map(str, broadcast_steps(g, other)))
    factor = (
        f"{zero_of(other)}, {mu}, {float_literal(scale_of(other))}, {_rescale(context, node, k)}"
    )
    places = f"{context.place(g)}, {context.place(other)}, {context.place(node.output)}"
    return [f"tt_multiply_{_dtype(node)}_grad({steps}, {factor}, {places});"]


@calls("multiply_grad_broadcast")
def _multiply_grad_broadcast(context: EmitContext, node: Node) -> list[str]:
    g, other = node.inputs
    mu, k = lowering.multiply_mu(other)
    channels = g.type.shape[-1]
    rows = g.type.size // channels
    step = 1 if node.output.type.size == channels else 0
    factor = (
        f"{zero_of(other)}, {mu}, {float_literal(scale_of(other))}, {_rescale(context, node, k)}"
    )
    places = f"{context.place(g)}, {context.place(other)}, {context.place(node.output)}"
    return [
        f"tt_multiply_{_dtype(node)}_grad_broadcast({rows}, {channels}, {step}, {factor}, {places});"
    ]
