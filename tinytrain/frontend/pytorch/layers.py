"""ATen operations with weights or windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.pieces import channel_scale
from tinytrain.frontend.program import Const
from tinytrain.frontend.pytorch.operands import AtenOperands, AtenRow, row
from tinytrain.frontend.windows import Padding, ceiling_padding, same_padding

Pair = tuple[int, int]


def _pair(values: Sequence[int] | int | None, default: int, spatial: int) -> Pair:
    """(H, W) of an argument with a value for each spatial axis, or one for all."""
    found = [values] if isinstance(values, int) else list(values or [])
    found = found or [default]
    found = found * spatial if len(found) == 1 else found
    return (found[0], found[1]) if spatial == 2 else (1 if default else 0, found[0])


def _spatial(x: Tensor) -> Pair:
    extents = x.shape[2:]
    return (extents[0], extents[1]) if len(extents) == 2 else (1, extents[0])


def _map(operands: AtenOperands, name: str, spatial: int) -> Tensor:
    """A batch of maps, which has as many spatial axes as the operation wants."""
    x = operands.x(name)
    if len(x.shape) != spatial + 2:
        raise operands.builder.error(
            f"'{operands.kind}' of a tensor of shape {list(x.shape)}, which has no batch",
            "call the module with a batch of 1 in front: example[None]",
        )
    return x


def _conv(operands: AtenOperands) -> list[Tensor]:
    if operands.get("transposed", False):
        raise operands.builder.error(
            "operation 'conv_transpose' is not supported",
            "use a nearest-neighbour resize by a whole factor and a convolution",
        )
    rank = len(operands.x("weight").shape)
    spatial = rank - 2
    if spatial not in (1, 2):
        raise operands.builder.error(
            f"a convolution over {spatial} dimensions is not supported",
            "use 1-D or 2-D convolutions",
        )
    builder, x = operands.builder, _map(operands, "input", spatial)
    weights = builder.emit(
        "permute", [operands.x("weight")], axes=(0, 2, 3, 1) if spatial == 2 else (0, 2, 1)
    )
    if spatial == 1:
        out, length, per_group = weights.shape
        weights = builder.reshape(weights, (out, 1, length, per_group))
    strides = _pair(operands.get("stride"), 1, spatial)
    dilation = _pair(operands.get("dilation"), 1, spatial)
    return [
        builder.conv(
            x, weights, operands.x("bias") if operands.has("bias") else None,
            strides=strides, dilation=dilation, groups=int(operands.get("groups", 1)),
            padding=_padding(operands, x, weights, strides, dilation), channel_axis=1,
        )
    ]  # fmt: skip


def _padding(
    operands: AtenOperands, x: Tensor, weights: Tensor, strides: Pair, dilation: Pair
) -> Padding:
    padding = operands.get("padding", 0)
    if padding == "same":
        return same_padding(_spatial(x), weights.shape[1:3], strides, dilation)
    if padding == "valid":
        return (0, 0, 0, 0)
    height, width = _pair(padding, 0, len(x.shape) - 2)
    return (height, width, height, width)


def _linear(operands: AtenOperands) -> list[Tensor]:
    bias = operands.x("bias") if operands.has("bias") else None
    return [operands.builder.dense(operands.x("input"), operands.x("weight"), bias)]


def _addmm(operands: AtenOperands) -> list[Tensor]:
    """beta * bias + alpha * x @ w."""
    builder = operands.builder
    weights = builder.emit("permute", [operands.x("mat2")], axes=(1, 0))
    bias = operands.x()
    for name, scaled in (("alpha", True), ("beta", False)):
        factor = float(operands.get(name, 1))
        if factor != 1.0:
            constant = Const(np.full((), factor))
            if scaled:
                weights = builder.emit("multiply", [weights, constant])
            else:
                bias = builder.emit("multiply", [bias, constant])
    return [builder.dense(operands.x("mat1"), weights, bias)]


def _matmul(name: str) -> AtenRow:
    def read(operands: AtenOperands) -> list[Tensor]:
        weights = operands.x(name)
        if isinstance(weights, Const) and len(weights.shape) == 2:
            weights = operands.builder.emit("permute", [weights], axes=(1, 0))
        return [operands.builder.dense(operands.x(), weights, None)]

    return row(read, f"self {name}")


def _batch_norm(operands: AtenOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x("input")
    if operands.get("training", False) or not operands.has("running_mean"):
        raise builder.error(
            "a batch normalisation was exported in training mode: it would measure mean and "
            "variance of every single sample",
            "call model.eval() before torch.export.export, and keep track_running_stats",
        )
    mean, variance = operands.constant("running_mean"), operands.constant("running_var")
    variance = variance.astype(np.float64)
    factor = 1.0 / np.sqrt(variance + float(operands.get("eps", 1e-5)))
    if operands.has("weight"):
        factor = factor * operands.constant("weight")
    shift = -mean.astype(np.float64) * factor
    source = None
    if operands.has("bias"):
        shift = shift + operands.constant("bias")
        bias = operands.x("bias")
        source = bias.source if isinstance(bias, Const) else None
    return [channel_scale(builder, x, factor, shift, 1, source)]


def _pool(kind: str, spatial: int) -> AtenRow:
    def read(operands: AtenOperands) -> list[Tensor]:
        builder, x = operands.builder, _map(operands, "self", spatial)
        window = _pair(operands.get("kernel_size"), 1, spatial)
        strides = _pair(operands.get("stride") or operands.get("kernel_size"), 1, spatial)
        height, width = _pair(operands.get("padding"), 0, spatial)
        padding = (height, width, height, width)
        if _pair(operands.get("dilation"), 1, spatial) != (1, 1):
            raise builder.error(
                "a pooling window is dilated", "use a window without gaps, or a dilated convolution"
            )
        include = kind == "avg" and bool(operands.get("count_include_pad", True)) and any(padding)
        if operands.get("ceil_mode", False):
            wide = ceiling_padding(_spatial(x), window, strides, (1, 1), padding)
            if wide != padding and include:
                raise builder.error(
                    "average pooling has both ceil_mode and counted padding",
                    "set count_include_pad=False, or ceil_mode=False",
                )
            padding = wide
        result = builder.emit(
            "pool", [x], kind=kind, window=window, strides=strides, padding=padding,
            count_include_pad=include, channel_axis=1,
        )  # fmt: skip
        divisor = operands.get("divisor_override")
        if divisor is not None:
            result = _divided(operands, result, window, padding, include, int(divisor))
        return [result]

    if kind == "max":
        return row(read, "self kernel_size stride padding dilation ceil_mode")
    return row(read, "self kernel_size stride padding ceil_mode count_include_pad divisor_override")


def _divided(
    operands: AtenOperands,
    mean: Tensor,
    window: Pair,
    padding: Padding,
    include: bool,
    divisor: int,
) -> Tensor:
    """The sum of a window over another number than its taps, from the mean."""
    if any(padding) and not include:
        raise operands.builder.error(
            "divisor_override with padding that does not count is not supported",
            "set count_include_pad=True, or leave divisor_override out",
        )
    factor = Const(np.full((), window[0] * window[1] / divisor))
    return operands.builder.emit("multiply", [mean, factor])


def _adaptive(kind: str, spatial: int) -> AtenRow:
    def read(operands: AtenOperands) -> list[Tensor]:
        builder, x = operands.builder, _map(operands, "self", spatial)
        wanted = operands.get("output_size")
        wanted = [wanted] * spatial if isinstance(wanted, int) else list(wanted)
        extents = x.shape[2:]
        wanted = [n if n is not None else m for n, m in zip(wanted, extents, strict=True)]
        if any(m % n for n, m in zip(wanted, extents, strict=True)):
            raise builder.error(
                f"adaptive pooling from {list(extents)} to {wanted} needs windows of unequal size",
                "choose an output size that divides the map",
            )
        sizes = [m // n for n, m in zip(wanted, extents, strict=True)]
        window = _pair(sizes, 1, spatial)
        return [
            builder.emit(
                "pool", [x], kind=kind, window=window, strides=window, padding=(0, 0, 0, 0),
                count_include_pad=False, channel_axis=1,
            )
        ]  # fmt: skip

    return row(read, "self output_size")


def _reduce(kind: str) -> AtenRow:
    def read(operands: AtenOperands) -> list[Tensor]:
        x = operands.x()
        rank = len(x.shape)
        dims = operands.get("dim")
        dims = list(range(rank)) if dims is None else [dims] if isinstance(dims, int) else dims
        axes = tuple(sorted({int(axis) % rank for axis in dims or range(rank)}))
        keep = bool(operands.get("keepdim", False))
        return [operands.builder.emit("reduce", [x], kind=kind, axes=axes, keep=keep)]

    return row(read, "self dim keepdim", "dtype")


def _prelu(operands: AtenOperands) -> list[Tensor]:
    builder, x, slope = operands.builder, operands.x(), operands.x("weight")
    if not isinstance(slope, Const):
        raise builder.error("a PReLU has slopes that are not constant", "train it first")
    values = Const(slope.real().reshape(-1).astype(np.float32), source=slope.source)
    return [builder.emit("prelu", [x, values], channel_axis=1 if len(x.shape) > 1 else 0)]


_CONV = "input weight bias stride padding dilation groups"

LAYERS: dict[str, AtenRow] = {
    "conv1d": row(_conv, _CONV),
    "conv2d": row(_conv, _CONV),
    "conv3d": row(_conv, _CONV),
    "convolution": row(_conv, f"{_CONV} transposed", "output_padding"),
    "linear": row(_linear, "input weight bias"),
    "addmm": row(_addmm, "self mat1 mat2 alpha beta"),
    "mm": _matmul("mat2"),
    "matmul": _matmul("other"),
    # The momentum and the library are of training.
    "batch_norm": row(
        _batch_norm,
        "input weight bias running_mean running_var training eps",
        "momentum cudnn_enabled",
    ),
    "_native_batch_norm_legit_no_training": row(
        _batch_norm, "input weight bias running_mean running_var eps", "momentum"
    ),
    "max_pool1d": _pool("max", 1),
    "max_pool2d": _pool("max", 2),
    "max_pool2d_with_indices": _pool("max", 2),
    "avg_pool1d": _pool("avg", 1),
    "avg_pool2d": _pool("avg", 2),
    "adaptive_avg_pool1d": _adaptive("avg", 1),
    "adaptive_avg_pool2d": _adaptive("avg", 2),
    "_adaptive_avg_pool2d": _adaptive("avg", 2),
    "adaptive_max_pool1d": _adaptive("max", 1),
    "adaptive_max_pool2d": _adaptive("max", 2),
    "mean": _reduce("mean"),
    "amax": _reduce("max"),
    "amin": _reduce("min"),
    "max": _reduce("max"),
    "min": _reduce("min"),
    "sum": _reduce("sum"),
    "prelu": row(_prelu, "self weight"),
    "_prelu_kernel": row(_prelu, "self weight"),
}
