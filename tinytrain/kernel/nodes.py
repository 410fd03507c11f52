"""What each node asks of its kernel: the contract in the row of its operation, or another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import role_of, traits_of
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType
from tinytrain.kernel.table import KERNELS
from tinytrain.kernel.work import Work, is_depthwise

_APPLIED: Mapping[str, str] = {
    "apply_weight": "tt_apply_s8",
    "apply_bias": "tt_apply_s32",
    "adam_weight": "tt_adam_s8",
    "adam_bias": "tt_adam_s32",
}


def call_of(graph: Graph, node: Node) -> Work | None:
    """The contract that a node calls, and with what geometry.

    None for a node that calls nothing, functions of several contracts, or a loss.
    """
    contract = traits_of(node).contract
    if contract:
        windowed = "window" in node.attrs
        return _pool(contract, node) if windowed else _elements(contract, node.inputs[0])
    if node.op in _APPLIED:
        return Work(contract=_APPLIED[node.op], count=node.outputs[0].type.size)
    other = _OTHERS.get(node.op)
    return None if other is None else other(graph, node)


def work_of(graph: Graph, node: Node) -> Work | None:
    """What a node asks of its kernel where the kernels of its contract have a cost, so that one is
    chosen by it; None for all other nodes."""
    work = call_of(graph, node)
    return None if work is None or KERNELS[work.contract][0].cost is None else work


def _elements(contract: str, value: Value) -> Work:
    dtype = value.type.dtype.value
    return Work(contract=contract.format(dtype), count=value.type.size, dtype=dtype)


def _pool(contract: str, node: Node) -> Work:
    """A pooling or its gradient: the window slides over the larger of both maps."""
    x, y = node.inputs[0], node.outputs[0]
    dtype = x.type.dtype.value
    shapes = x.type.shape, y.type.shape
    if role_of(node) is Role.GRADIENT:
        shapes = y.type.shape, x.type.shape
    geometry = _geometry(node, *shapes, kernel=node.attrs["window"])
    return Work(contract=contract.format(dtype), windowed=True, dtype=dtype, **geometry)


def _geometry(
    node: Node, x_shape: tuple[int, ...], y_shape: tuple[int, ...], kernel: tuple[int, int]
) -> dict[str, Any]:
    """The fields of `Window` for a node with the attributes of a convolution or a pooling."""
    (_, in_h, in_w, in_c), (_, out_h, out_w, out_c) = x_shape, y_shape
    stride_h, stride_w = node.attrs["strides"]
    dilation_h, dilation_w = node.attrs.get("dilation", (1, 1))
    return {
        "in_h": in_h,
        "in_w": in_w,
        "in_c": in_c,
        "out_h": out_h,
        "out_w": out_w,
        "out_c": out_c,
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": stride_h,
        "stride_w": stride_w,
        "dilation_h": dilation_h,
        "dilation_w": dilation_w,
        "pad_top": node.attrs["padding"][0],
        "pad_left": node.attrs["padding"][1],
        "groups": node.attrs.get("groups", 1),
    }


def _grad_clamp(graph: Graph, node: Node) -> Work:
    is_mask = node.inputs[1].type.dtype is DType.BIT
    return _elements("tt_grad_clamp_mask_{}" if is_mask else "tt_grad_clamp_{}", node.inputs[0])


def _bias_grad(graph: Graph, node: Node) -> Work:
    type_ = node.inputs[0].type
    channels, dtype = type_.shape[-1], type_.dtype.value
    rows = type_.size // channels
    return Work(contract=f"tt_bias_{dtype}_grad", count=channels, rows=rows, dtype=dtype)


def _convolution(graph: Graph, node: Node) -> Work:
    depthwise = is_depthwise(node)
    dtype = DType.S8
    stem = "tt_depthwise_conv2d" if depthwise else "tt_conv2d"
    if node.op == "conv2d":
        x, w = node.inputs[0].type.shape, node.inputs[1]
        y = node.output.type
        kernel = w.type.shape[1:3]
        contract = f"{stem}_s8_s32" if y.dtype is DType.S32 else f"{stem}_s8"
        shapes = x, y.shape
    elif node.op == "conv2d_grad_input":
        g, w = node.inputs
        dtype, kernel = g.type.dtype, w.type.shape[1:3]
        contract = f"{stem}_{dtype.value}_grad_input"
        shapes = node.output.type.shape, g.type.shape
    else:
        x, g, w = node.inputs[0].type.shape, node.inputs[1], node.inputs[2]
        dtype, kernel = g.type.dtype, node.attrs["kernel"]
        contract = f"{stem}_{dtype.value}_grad_weight"
        shapes = x, g.type.shape
    columns, listed = _columns(graph, w, depthwise)
    reads_weights = node.op != "conv2d_grad_weight_sgd"
    return Work(
        contract=contract,
        windowed=True,
        segments=columns if reads_weights and not depthwise else (),
        listed=listed,
        count=max(columns) if depthwise else 0,
        dtype=dtype.value,
        fraction_bits=node.attrs.get("fraction_bits", 0),
        **_geometry(node, *shapes, kernel=(kernel[0], kernel[1])),
    )


def _columns(graph: Graph, w: Value, depthwise: bool) -> tuple[tuple[int, ...], bool]:
    """Input channels, or output channels of a depthwise layer, of each part of the weights."""
    axis = 0 if depthwise else 3
    total = w.type.shape[axis]
    producer = graph.producers().get(w)
    if producer is None or role_of(producer) is not Role.VIEW:
        return (total,), False
    chosen = len(producer.attrs["channels"])
    return (chosen, total - chosen), True


def _slice(graph: Graph, node: Node) -> Work:
    return _elements(
        "tt_copy_blocks" if node.attrs.get("step", 1) > 1 else "tt_copy_rows", node.inputs[0]
    )


def _transpose(graph: Graph, node: Node) -> Work:
    small = len(node.attrs["axes"]) <= SMALL_RANK
    return _elements("tt_transpose" if small else "tt_transpose_nd", node.inputs[0])


SMALL_RANK = 4
"""Axes that `tt_transpose` takes; more are for `tt_transpose_nd`."""

_OTHERS: Mapping[str, Callable[[Graph, Node], Work]] = {
    "slice": _slice,
    "transpose": _transpose,
    "conv2d": _convolution,
    "conv2d_grad_input": _convolution,
    "conv2d_grad_weight_sgd": _convolution,
    "grad_clamp": _grad_clamp,
    "bias_grad_sgd": _bias_grad,
}
