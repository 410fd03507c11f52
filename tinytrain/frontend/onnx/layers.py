"""ONNX operations with weights or windows."""

from __future__ import annotations

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.onnx.operands import OnnxOperands, OnnxRow, row
from tinytrain.frontend.pieces import channel_scale
from tinytrain.frontend.program import Const
from tinytrain.frontend.windows import Padding, ceiling_padding, same_padding

Pair = tuple[int, int]


def _pair(values: list[int] | None, default: int, rank: int) -> Pair:
    """(H, W) of an attribute with a value for each spatial axis; a signal has one."""
    found = list(values) if values else [default] * (rank - 2)
    return (found[0], found[1]) if len(found) == 2 else (1 if default else 0, found[0])


def _spatial(x: Tensor) -> Pair:
    extents = x.shape[2:]
    return (extents[0], extents[1]) if len(extents) == 2 else (1, extents[0])


def _check_rank(operands: OnnxOperands, x: Tensor) -> None:
    if len(x.shape) not in (3, 4):
        raise operands.builder.error(
            f"'{operands.kind}' of a tensor of {len(x.shape)} dimensions is not supported",
            "use 1-D or 2-D convolutions and pools",
        )


def _padding(
    operands: OnnxOperands, x: Tensor, kernel: Pair, strides: Pair, dilation: Pair
) -> Padding:
    mode = operands.get("auto_pad", "NOTSET")
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        return same_padding(_spatial(x), kernel, strides, dilation, lower=mode == "SAME_LOWER")
    pads = operands.get("pads")
    if mode == "VALID" or pads is None:
        return (0, 0, 0, 0)
    if len(pads) == 2:
        return (0, pads[0], 0, pads[1])
    return (pads[0], pads[1], pads[2], pads[3])


def conv(operands: OnnxOperands) -> list[Tensor]:
    """Conv, and what is left of QLinearConv once its integers are reals."""
    x, weights = operands.x(), operands.x(1)
    _check_rank(operands, x)
    rank = len(x.shape)
    axes = (0, 2, 3, 1) if rank == 4 else (0, 2, 1)
    weights = operands.builder.emit("permute", [weights], axes=axes)
    if rank == 3:
        out, length, per_group = weights.shape
        weights = operands.builder.reshape(weights, (out, 1, length, per_group))
    strides = _pair(operands.get("strides"), 1, rank)
    dilation = _pair(operands.get("dilations"), 1, rank)
    kernel = weights.shape[1], weights.shape[2]
    return [
        operands.builder.conv(
            x, weights, operands.x(2) if operands.has(2) else None,
            strides=strides, dilation=dilation, groups=int(operands.get("group", 1)),
            padding=_padding(operands, x, kernel, strides, dilation), channel_axis=1,
        )
    ]  # fmt: skip


def gemm(operands: OnnxOperands) -> list[Tensor]:
    """alpha * A * B + beta * C; A is an activation, B and C are constant."""
    builder, x, weights = operands.builder, operands.x(), operands.x(1)
    if operands.get("transA", 0):
        x = builder.emit("permute", [x], axes=(1, 0))
    if not operands.get("transB", 0):
        weights = builder.emit("permute", [weights], axes=(1, 0))
    alpha, beta = float(operands.get("alpha", 1.0)), float(operands.get("beta", 1.0))
    if alpha != 1.0:
        weights = builder.emit("multiply", [weights, Const(np.full((), alpha))])
    bias = operands.x(2) if operands.has(2) else None
    if bias is not None and beta != 1.0:
        bias = builder.emit("multiply", [bias, Const(np.full((), beta))])
    if bias is not None and not _is_bias(bias, weights.shape[0]):
        return [builder.emit("add", [builder.dense(x, weights, None), bias])]
    return [builder.dense(x, weights, bias)]


def _is_bias(bias: Tensor, count: int) -> bool:
    return isinstance(bias, Const) and bias.data.size in (1, count)


def matmul(operands: OnnxOperands) -> list[Tensor]:
    """A product with constant weights [..., I, O] on the right."""
    builder, x, weights = operands.builder, operands.x(), operands.x(1)
    if isinstance(weights, Const) and len(weights.shape) > 2 and set(weights.shape[:-2]) == {1}:
        weights = builder.reshape(weights, weights.shape[-2:])
    if isinstance(weights, Const) and len(weights.shape) == 2:
        weights = builder.emit("permute", [weights], axes=(1, 0))
    return [builder.dense(x, weights, None)]


def _pool(kind: str) -> OnnxRow:
    def read(operands: OnnxOperands) -> list[Tensor]:
        x, builder = operands.x(), operands.builder
        _check_rank(operands, x)
        if operands.outputs > 1:
            raise builder.error(
                "the indices of a max pooling are read, which is not supported",
                "use strided convolutions and nearest-neighbour resizes in the place of unpooling",
            )
        rank = len(x.shape)
        window = _pair(operands.get("kernel_shape"), 1, rank)
        strides = _pair(operands.get("strides"), 1, rank)
        dilation = _pair(operands.get("dilations"), 1, rank)
        if dilation != (1, 1):
            raise builder.error(
                "a pooling window is dilated", "use a window without gaps, or a dilated convolution"
            )
        padding = _padding(operands, x, window, strides, dilation)
        include = bool(operands.get("count_include_pad", 0)) and any(padding)
        if operands.get("ceil_mode", 0):
            wide = ceiling_padding(_spatial(x), window, strides, dilation, padding)
            if wide != padding and kind == "avg" and include:
                raise builder.error(
                    "average pooling has both ceil_mode and counted padding",
                    "leave out one of both",
                )
            padding = wide
        return [
            builder.emit(
                "pool", [x], kind=kind, window=window, strides=strides, padding=padding,
                count_include_pad=include, channel_axis=1,
            )
        ]  # fmt: skip

    names = "auto_pad ceil_mode dilations kernel_shape pads strides"
    if kind == "avg":
        return row(read, f"{names} count_include_pad")
    # The order in which indices would be counted.
    return row(read, names, "storage_order")


def _global(kind: str) -> OnnxRow:
    def read(operands: OnnxOperands) -> list[Tensor]:
        x = operands.x()
        axes = tuple(range(2, len(x.shape)))
        return [operands.builder.emit("reduce", [x], kind=kind, axes=axes, keep=True)]

    return row(read)


def _reduce(kind: str, of: str = "") -> OnnxRow:
    """A reduction, of a function of the elements where `of` names one."""

    def read(operands: OnnxOperands) -> list[Tensor]:
        x = operands.builder.unary(operands.x(), of) if of else operands.x()
        rank = len(x.shape)
        axes = operands.numbers(1, "axes")
        if not axes:
            if operands.get("noop_with_empty_axes", 0):
                return [x]
            axes = list(range(rank))
        chosen = tuple(sorted({axis % rank for axis in axes}))
        keep = bool(operands.get("keepdims", 1))
        return [operands.builder.emit("reduce", [x], kind=kind, axes=chosen, keep=keep)]

    return row(read, "axes keepdims noop_with_empty_axes")


def _batch_norm(operands: OnnxOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    if operands.get("training_mode", 0) or operands.outputs > 1:
        raise builder.error(
            "a batch normalisation was exported in training mode: it would measure mean and "
            "variance of every single sample",
            "call model.eval() before the export, or export with training=EVAL",
        )
    scale, bias, mean, variance = (operands.constant(k).astype(np.float64) for k in range(1, 5))
    factor = scale / np.sqrt(variance + float(operands.get("epsilon", 1e-5)))
    shift = operands.x(2)
    source = shift.source if isinstance(shift, Const) else None
    return [channel_scale(builder, x, factor, bias - mean * factor, 1, source)]


def _lp_normalize(operands: OnnxOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    if int(operands.get("p", 2)) != 2:
        raise builder.error("a normalisation by the L1 norm is not supported", "use the L2 norm")
    axis = int(operands.get("axis", -1)) % len(x.shape)
    return [builder.emit("l2_normalize", [x], axis=axis, epsilon=0.0)]


def _prelu(operands: OnnxOperands) -> list[Tensor]:
    builder, x, slope = operands.builder, operands.x(), operands.x(1)
    axis = 1 if len(x.shape) > 1 else 0
    if not isinstance(slope, Const) or slope.data.size not in (1, x.shape[axis]):
        raise builder.error(
            f"a PRelu has slopes of shape {list(slope.shape)} for a map of {list(x.shape)}",
            "share the slopes along height and width, or use LeakyRelu",
        )
    values = Const(slope.real().reshape(-1).astype(np.float32), source=slope.source)
    return [builder.emit("prelu", [x, values], channel_axis=axis)]


LAYERS: dict[str, OnnxRow] = {
    # The kernel's shape is told by the weights.
    "Conv": row(conv, "auto_pad dilations group pads strides", "kernel_shape"),
    "Gemm": row(gemm, "alpha beta transA transB"),
    "MatMul": row(matmul),
    "MaxPool": _pool("max"),
    "AveragePool": _pool("avg"),
    "GlobalAveragePool": _global("mean"),
    "GlobalMaxPool": _global("max"),
    "ReduceMean": _reduce("mean"),
    "ReduceMax": _reduce("max"),
    "ReduceMin": _reduce("min"),
    "ReduceSum": _reduce("sum"),
    "ReduceProd": _reduce("product"),
    "ReduceL2": _reduce("length"),
    "ReduceSumSquare": _reduce("sum", of="square"),
    # Momentum is of training, spatial of versions before 9.
    "BatchNormalization": row(_batch_norm, "epsilon training_mode", "momentum spatial"),
    "LpNormalization": row(_lp_normalize, "axis p"),
    "PRelu": row(_prelu),
}
