"""TFLite operators with weights or windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.program import Call, Const
from tinytrain.frontend.tflite.batched import Batched
from tinytrain.frontend.tflite.operands import TfliteOperands, TfliteRow, activated, row

_SAME = 0
Padding = tuple[int, int, int, int]


def same_padding(
    extents: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilation: Sequence[int]
) -> Padding:
    """TFLite's SAME: as many outputs as strides fit, the odd element at the end."""
    before, after = [], []
    for extent, taps, stride, spread in zip(extents, kernel, strides, dilation, strict=True):
        reach = spread * (taps - 1) + 1
        total = max(0, (-(-extent // stride) - 1) * stride + reach - extent)
        before.append(total // 2)
        after.append(total - total // 2)
    return before[0], before[1], after[0], after[1]


def _window(
    operands: TfliteOperands, x: Tensor, kernel: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, int], Padding]:
    """Strides and padding."""
    strides = operands.option("StrideH"), operands.option("StrideW")
    if operands.option("Padding") == _SAME:
        return strides, same_padding(x.shape[1:3], kernel, strides, dilation)
    return strides, (0, 0, 0, 0)


def _bias(operands: TfliteOperands) -> Tensor | None:
    return operands.weights(2) if operands.has(2) else None


def _dilated(operands: TfliteOperands) -> tuple[Tensor, tuple[int, int], Batched | None]:
    """The map that a convolution reads, its dilation, and the batches that it came in."""
    x = operands.held()
    dilation = operands.option("DilationHFactor"), operands.option("DilationWFactor")
    if not isinstance(x, Batched):
        return x, dilation, None
    plain = dilation == (1, 1) and operands.option("Padding") != _SAME
    plain = plain and operands.option("StrideH") == operands.option("StrideW") == 1
    if not plain or len(x.blocks) != 4:
        raise operands.builder.error(
            "a convolution of batches with strides or padding is not supported",
            "convert the model with dilated convolutions alone",
        )
    return x.whole, (x.blocks[1], x.blocks[2]), x


def _rebatched(batched: Batched | None, result: Tensor) -> Tensor | Batched:
    return result if batched is None else Batched(result, batched.blocks)


def _conv(operands: TfliteOperands) -> list[Tensor | Batched]:
    x, dilation, batched = _dilated(operands)
    weights = operands.weights(1)
    kernel = weights.shape[1], weights.shape[2]
    strides, padding = _window(operands, x, kernel, dilation)
    result = operands.builder.conv(
        x, weights, _bias(operands), strides=strides, padding=padding, dilation=dilation,
        groups=x.shape[3] // weights.shape[3], channel_axis=3,
    )  # fmt: skip
    return [_rebatched(batched, activated(operands, result))]


def _depthwise(operands: TfliteOperands) -> list[Tensor | Batched]:
    x, dilation, batched = _dilated(operands)
    # [1, KH, KW, O] to [O, KH, KW, 1]: output o reads input o // multiplier.
    weights = operands.builder.emit("permute", [operands.weights(1)], axes=(3, 1, 2, 0))
    kernel = weights.shape[1], weights.shape[2]
    strides, padding = _window(operands, x, kernel, dilation)
    result = operands.builder.conv(
        x, weights, _bias(operands), strides=strides, padding=padding, dilation=dilation,
        groups=x.shape[3], channel_axis=3,
    )  # fmt: skip
    return [_rebatched(batched, activated(operands, result))]


def _fully_connected(operands: TfliteOperands) -> list[Tensor]:
    builder, x, weights = operands.builder, operands.x(), operands.weights(1)
    if not operands.option("KeepNumDims") or x.shape[-1] != weights.shape[-1]:
        # Whatever the shape: rows of as many numbers as the weights take.
        x = builder.reshape(x, (-(-int(np.prod(x.shape)) // weights.shape[-1]), weights.shape[-1]))
    if len(x.shape) == 2 and x.shape[0] > 1:
        rows = builder.dense(builder.reshape(x, (1, *x.shape)), weights, _bias(operands))
        result = builder.reshape(rows, (x.shape[0], weights.shape[0]))
    else:
        result = builder.dense(x, weights, _bias(operands))
    result = activated(operands, result)
    shape = operands.result_shape()
    # Behind arithmetic of shapes the file has 1 for what it does not know.
    same = int(np.prod(shape)) == int(np.prod(result.shape))
    return [builder.reshape(result, shape) if same else result]


def _pool(kind: str) -> TfliteRow:
    def read(operands: TfliteOperands) -> list[Tensor]:
        x = operands.x()
        window = operands.option("FilterHeight"), operands.option("FilterWidth")
        strides, padding = _window(operands, x, window, (1, 1))
        result = operands.builder.emit(
            "pool", [x], kind=kind, window=window, strides=strides, padding=padding,
            count_include_pad=False, channel_axis=3,
        )  # fmt: skip
        return [activated(operands, result)]

    return row(read, "FilterHeight FilterWidth StrideH StrideW Padding FusedActivationFunction")


def _reduce(kind: str) -> TfliteRow:
    def read(operands: TfliteOperands) -> list[Tensor]:
        x = operands.x()
        axes = tuple(sorted({axis % len(x.shape) for axis in operands.numbers(1)}))
        keep = bool(operands.option("KeepDims"))
        return [operands.builder.emit("reduce", [x], kind=kind, axes=axes, keep=keep)]

    return row(read, "KeepDims")


def _prelu(operands: TfliteOperands) -> list[Tensor]:
    x, slope = operands.x(), operands.x(1)
    if not isinstance(slope, Const):
        raise operands.builder.error("a PReLU has slopes that are not constant", "train it first")
    # Slopes that are shared along height and width have one entry for each channel.
    if slope.data.size not in (1, x.shape[-1]):
        raise operands.builder.error(
            f"a PReLU has slopes of shape {list(slope.shape)} for a map of {list(x.shape)}",
            "share the slopes along height and width (shared_axes=[1, 2]), or use LeakyReLU",
        )
    values = Const(slope.real().reshape(-1).astype(np.float32), source=slope.source)
    return [operands.builder.emit("prelu", [x, values], channel_axis=len(x.shape) - 1)]


def _l2_normalize(operands: TfliteOperands) -> list[Tensor]:
    x = operands.x()
    result = operands.builder.emit("l2_normalize", [x], axis=len(x.shape) - 1, epsilon=1e-6)
    return [activated(operands, result)]


def _space_to_batch(operands: TfliteOperands) -> list[Tensor | Batched]:
    x, builder = operands.x(), operands.builder
    blocks, pads = operands.numbers(1), operands.numbers(2)
    rank = len(x.shape)
    if not isinstance(x, Call) or len(blocks) != rank - 2:
        raise builder.error(
            "SPACE_TO_BATCH_ND of something other than a map is not supported",
            "convert the model with dilated convolutions alone",
        )
    pairs = [(pads[2 * k], pads[2 * k + 1]) for k in range(len(blocks))]
    widths = ((0, 0), *pairs, (0, 0))
    whole = builder.emit("pad", [x], widths=widths, value=0.0) if any(pads) else x
    return [Batched(whole, (1, *blocks, 1))]


def _batch_to_space(operands: TfliteOperands) -> list[Tensor]:
    x, builder = operands.held(), operands.builder
    blocks, crops = operands.numbers(1), operands.numbers(2)
    if not isinstance(x, Batched) or list(x.blocks[1:-1]) != blocks:
        raise builder.error(
            "BATCH_TO_SPACE_ND without the SPACE_TO_BATCH_ND of a dilated convolution is not "
            "supported",
            "convert the model with dilated convolutions alone",
        )
    whole = x.whole
    pairs = [(crops[2 * k], crops[2 * k + 1]) for k in range(len(blocks))]
    starts = (0, *(before for before, _ in pairs), 0)
    stops = tuple(
        extent - after
        for extent, after in zip(whole.shape, (0, *(a for _, a in pairs), 0), strict=True)
    )
    if not any(crops):
        return [whole]
    return [builder.emit("slice", [whole], starts=starts, stops=stops, steps=(1,) * len(starts))]


_WINDOW = "Padding StrideH StrideW FusedActivationFunction DilationHFactor DilationWFactor"

LAYERS: dict[str, TfliteRow] = {
    "CONV_2D": row(_conv, _WINDOW, "QuantizedBiasType"),
    # The multiplier is told by the shapes.
    "DEPTHWISE_CONV_2D": row(_depthwise, _WINDOW, "DepthMultiplier"),
    # How a kernel of TFLite quantizes float inputs at run time is its own matter.
    "FULLY_CONNECTED": row(
        _fully_connected,
        "KeepNumDims FusedActivationFunction",
        "AsymmetricQuantizeInputs QuantizedBiasType",
    ),
    "AVERAGE_POOL_2D": _pool("avg"),
    "MAX_POOL_2D": _pool("max"),
    "MEAN": _reduce("mean"),
    "REDUCE_MAX": _reduce("max"),
    "REDUCE_MIN": _reduce("min"),
    "REDUCE_PROD": _reduce("product"),
    "SUM": _reduce("sum"),
    "PRELU": row(_prelu),
    "L2_NORMALIZATION": row(_l2_normalize, "FusedActivationFunction"),
    "SPACE_TO_BATCH_ND": row(_space_to_batch),
    "BATCH_TO_SPACE_ND": row(_batch_to_space),
}
