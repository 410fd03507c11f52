"""The quantize and dequantize nodes that PyTorch's PT2E quantization writes."""

from __future__ import annotations

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.program import Const
from tinytrain.frontend.pytorch.operands import AtenOperands, AtenRow, row

_WHOLE = {
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int16": (-32768, 32767),
    "int32": (-(2**31), 2**31 - 1),
}


def _dtype(operands: AtenOperands) -> str:
    return str(operands.get("dtype", "int8")).removeprefix("torch.")


def _narrowed(operands: AtenOperands, x: Tensor, scale: float, zero_point: int) -> Tensor:
    """x clipped to what a range narrower than its dtype leaves of it."""
    low, high = int(operands.get("quant_min")), int(operands.get("quant_max"))
    dtype = _dtype(operands)
    least, most = _WHOLE.get(dtype, (low, high))
    if (low, high) == (least, most):
        return x
    lowest = -np.inf if low == least else scale * (low - zero_point)
    highest = np.inf if high == most else scale * (high - zero_point)
    return operands.builder.unary(x, "clip", lowest, highest)


def _number(operands: AtenOperands, name: str) -> float:
    value = operands.get(name)
    return float(value if isinstance(value, int | float) else operands.constant(name).reshape(()))


def _quantize(operands: AtenOperands) -> list[Tensor]:
    scale, point = _number(operands, "scale"), int(_number(operands, "zero_point"))
    x = _narrowed(operands, operands.x("input"), scale, point)
    return [operands.builder.quantize(x, scale, point, _dtype(operands))]


def _dequantize(operands: AtenOperands) -> list[Tensor]:
    scale, point = _number(operands, "scale"), int(_number(operands, "zero_point"))
    return [operands.builder.dequantize(operands.x("input"), scale, point)]


def _quantize_channels(operands: AtenOperands) -> list[Tensor]:
    """Of weights: the integers that they round to."""
    x = operands.x("input")
    if not isinstance(x, Const):
        raise operands.builder.error(
            "an activation is quantized per channel",
            "quantize activations per tensor; only weights have a scale per channel",
        )
    shape = [1] * len(x.shape)
    axis = int(operands.get("axis")) % len(shape)
    shape[axis] = x.shape[axis]
    scales = operands.constant("scales").astype(np.float32).reshape(shape)
    points = operands.constant("zero_points").astype(np.int64).reshape(shape)
    low, high = int(operands.get("quant_min")), int(operands.get("quant_max"))
    q = np.clip(np.rint(np.asarray(x.real(), np.float32) / scales) + points, low, high)
    return [Const(q.astype(_dtype(operands)), source=x.source)]


def _dequantize_channels(operands: AtenOperands) -> list[Tensor]:
    points = operands.constant("zero_points") if operands.has("zero_points") else np.zeros((), int)
    axis = int(operands.get("axis"))
    x = operands.x("input")
    return [
        operands.builder.dequantize(x, operands.constant("scales"), points, axis % len(x.shape))
    ]


_TENSOR = "input scale zero_point quant_min quant_max dtype"
_CHANNELS = "input scales zero_points axis quant_min quant_max dtype"

QUANTIZED: dict[str, AtenRow] = {
    "quantize_per_tensor": row(_quantize, _TENSOR),
    "dequantize_per_tensor": row(_dequantize, _TENSOR, "out_dtype"),
    "quantize_per_channel": row(_quantize_channels, _CHANNELS),
    "dequantize_per_channel": row(_dequantize_channels, _CHANNELS, "out_dtype"),
}
