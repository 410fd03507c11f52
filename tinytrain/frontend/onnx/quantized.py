"""ONNX's integers: QDQ nodes, and operators that quantize by themselves (QOperator).

A QLinear operator is read as what its QDQ form says: dequantize, operate, quantize.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.onnx.elementwise import ELEMENTWISE
from tinytrain.frontend.onnx.layers import LAYERS, conv
from tinytrain.frontend.onnx.operands import OnnxOperands, OnnxRow, row
from tinytrain.frontend.program import Const

_DTYPES = {2: "uint8", 3: "int8", 4: "uint16", 5: "int16"}
"""Of integers by number of `onnx.TensorProto.DataType`."""


def _zero_point(operands: OnnxOperands, number: int) -> np.ndarray:
    """0 where it is left out, of the dtype that the node asks for; uint8 where it asks for none."""
    if not operands.has(number):
        wanted = int(operands.get("output_dtype", 0)) if operands.kind == "QuantizeLinear" else 0
        if wanted and wanted not in _DTYPES:
            raise operands.builder.error(
                f"integers of the data type {wanted} cannot be read",
                "quantize to int8 or uint8",
            )
        return np.zeros((), dtype=_DTYPES.get(wanted, "uint8"))
    found = operands.x(number)
    if not isinstance(found, Const):
        raise operands.builder.error(
            "an activation is quantized with a zero point computed while the model runs",
            "use static quantization, which fixes zero points from calibration data",
        )
    return found.data


def _scale(operands: OnnxOperands, number: int) -> np.ndarray:
    found = operands.x(number)
    if not isinstance(found, Const):
        raise operands.builder.error(
            "an activation is quantized with a scale computed while the model runs",
            "use static quantization, which fixes scales from calibration data, or give the float "
            "model and --calibration",
        )
    return np.asarray(found.data)


def _one(operands: OnnxOperands, values: np.ndarray) -> float:
    if np.unique(values).size != 1:
        raise operands.builder.error(
            "an activation is quantized per channel",
            "quantize activations per tensor; only weights have a scale per channel",
        )
    return float(values.reshape(-1)[0])


def _quantized(operands: OnnxOperands, x: Tensor, scale_at: int, zero_at: int) -> Tensor:
    points = _zero_point(operands, zero_at)
    scale = _one(operands, _scale(operands, scale_at))
    return operands.builder.quantize(x, scale, int(_one(operands, points)), str(points.dtype))


def _dequantized(
    operands: OnnxOperands, at: int, scale_at: int, zero_at: int, axis: int = 0
) -> Tensor:
    x = operands.x(at)
    points = _zero_point(operands, zero_at).astype(np.int64)
    return operands.builder.dequantize(x, _scale(operands, scale_at), points, axis)


def _quantize_linear(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    if isinstance(x, Const):
        # Fake-quantized weights: the integers that they round to.
        axis = int(operands.get("axis", 1)) % max(len(x.shape), 1)
        points, scales = _zero_point(operands, 2), _scale(operands, 1)
        shape = [1] * len(x.shape)
        if scales.size > 1:
            shape[axis] = scales.size
            scales, points = scales.reshape(shape), points.reshape(shape)
        limits = np.iinfo(points.dtype)
        q = np.rint(np.asarray(x.real(), np.float32) / scales.astype(np.float32)) + points
        return [Const(np.clip(q, limits.min, limits.max).astype(points.dtype), source=x.source)]
    return [_quantized(operands, x, 1, 2)]


def _dequantize_linear(operands: OnnxOperands) -> list[Tensor]:
    rank = len(operands.x().shape)
    axis = int(operands.get("axis", 1))
    return [_dequantized(operands, 0, 1, 2, axis % max(rank, 1))]


def _bias(operands: OnnxOperands, number: int, x_scale: int, w_scale: int) -> Tensor | None:
    """An s32 bias in units of the product of the scales."""
    if not operands.has(number):
        return None
    scale = _scale(operands, x_scale).astype(np.float32) * _scale(operands, w_scale)
    return operands.builder.dequantize(operands.x(number), scale, 0)


def _with(operands: OnnxOperands, kind: str, inputs: Sequence[Tensor | None]) -> OnnxOperands:
    return replace(operands, kind=kind, inputs=inputs, seen=set())


def _qlinear_conv(operands: OnnxOperands) -> list[Tensor]:
    x, w = _dequantized(operands, 0, 1, 2), _dequantized(operands, 3, 4, 5)
    (result,) = conv(_with(operands, "Conv", [x, w, _bias(operands, 8, 1, 4)]))
    return [_quantized(operands, result, 6, 7)]


def _qlinear_matmul(operands: OnnxOperands) -> list[Tensor]:
    x, w = _dequantized(operands, 0, 1, 2), _dequantized(operands, 3, 4, 5, axis=-1)
    (result,) = LAYERS["MatMul"].read(_with(operands, "MatMul", [x, w]))
    return [_quantized(operands, result, 6, 7)]


def _qgemm(operands: OnnxOperands) -> list[Tensor]:
    axis = 0 if operands.get("transB", 0) else 1
    x, w = _dequantized(operands, 0, 1, 2), _dequantized(operands, 3, 4, 5, axis=axis)
    (result,) = LAYERS["Gemm"].read(_with(operands, "Gemm", [x, w, _bias(operands, 6, 1, 4)]))
    return [_quantized(operands, result, 7, 8)] if operands.has(7) else [result]


def _qlinear_binary(kind: str) -> OnnxRow:
    def read(operands: OnnxOperands) -> list[Tensor]:
        a, b = _dequantized(operands, 0, 1, 2), _dequantized(operands, 3, 4, 5)
        (result,) = ELEMENTWISE[kind].read(_with(operands, kind, [a, b]))
        return [_quantized(operands, result, 6, 7)]

    return row(read)


def _qlinear_unary(kind: str, attributes: str = "") -> OnnxRow:
    table = {**LAYERS, **ELEMENTWISE}

    def read(operands: OnnxOperands) -> list[Tensor]:
        (result,) = table[kind].read(_with(operands, kind, [_dequantized(operands, 0, 1, 2)]))
        return [_quantized(operands, result, 3, 4)]

    return row(read, attributes)


def _qlinear_concat(operands: OnnxOperands) -> list[Tensor]:
    """Scale and zero point of the result, then three inputs for each tensor."""
    tensors = [
        _dequantized(operands, at, at + 1, at + 2) for at in range(2, len(operands.inputs), 3)
    ]
    axis = int(operands.get("axis", 0)) % len(tensors[0].shape)
    return [_quantized(operands, operands.builder.emit("concat", tensors, axis=axis), 0, 1)]


_CONV = "auto_pad dilations group pads strides"

QUANTIZED: dict[str, OnnxRow] = {
    "QuantizeLinear": row(_quantize_linear, "axis output_dtype", "saturate precision"),
    "DequantizeLinear": row(_dequantize_linear, "axis", "output_dtype"),
    "QLinearConv": row(_qlinear_conv, _CONV, "kernel_shape"),
    "QLinearMatMul": row(_qlinear_matmul),
    "com.microsoft.QGemm": row(_qgemm, "alpha transA transB"),
    "com.microsoft.QLinearAdd": _qlinear_binary("Add"),
    "com.microsoft.QLinearMul": _qlinear_binary("Mul"),
    "com.microsoft.QLinearSigmoid": _qlinear_unary("Sigmoid"),
    "com.microsoft.QLinearLeakyRelu": _qlinear_unary("LeakyRelu", "alpha"),
    "com.microsoft.QLinearGlobalAveragePool": _qlinear_unary("GlobalAveragePool"),
    "com.microsoft.QLinearAveragePool": _qlinear_unary(
        "AveragePool", "auto_pad ceil_mode count_include_pad kernel_shape pads strides"
    ),
    "com.microsoft.QLinearSoftmax": _qlinear_unary("Softmax", "axis"),
    "com.microsoft.QLinearConcat": row(_qlinear_concat, "axis"),
}
