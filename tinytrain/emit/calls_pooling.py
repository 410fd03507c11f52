"""Pooling and its gradients as calls of kernels."""

from __future__ import annotations

from tinytrain.emit.calls import CALLS, calls, factors, requantization, rescale, window
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node
from tinytrain.reference import pooling


@calls("avg_pool2d")
def _avg_pool2d(context: EmitContext, node: Node) -> list[str]:
    x, y = node.inputs[0], node.output
    geometry = window(context, node, x.type.shape, y.type.shape, node.attrs["window"])
    requant = requantization(context, node, pooling.avg_pool_requant(node), x, y)
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
