"""Weights and biases of imported layers: s8 symmetric per channel where the model has integers."""

from __future__ import annotations

import numpy as np

from tinytrain.errors import Where
from tinytrain.frontend.graph_writer import GraphWriter
from tinytrain.frontend.program import Const
from tinytrain.ir.graph import Value
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.reference.symmetric import symmetric_weights


def weight_value(
    builder: GraphWriter, stem: str, const: Const, where: Where, notes: list[str]
) -> Value:
    """An f32 value with the weights, output channels first.

    Quantized weights stay integers behind a `dequantize` node, as s8 with zero point 0 and a scale
    for each output channel (the same scale repeated when the model has one for all). Integers with
    another zero point are shifted, which is exact as long as they fit s8; output channels that do
    not are quantized again, symmetrically, and a note says by how much they moved.
    """
    if const.scale is None or const.zero_point is None:
        return builder.constant(stem, const.data, DType.F32)
    integers, scales, wide = _integers(const)
    if wide.any():
        rows = scales.astype(np.float64).reshape((-1,) + (1,) * (integers.ndim - 1))
        moved = np.abs(integers * rows - const.real()).max()
        notes.append(
            f"{where}: its weights do not fit s8 with zero point 0 and a scale per output channel; "
            f"they were quantized again and moved by up to {moved:.3g}"
        )
    meaning = Quantization(tuple(float(np.float32(s)) for s in scales), 0, 0)
    held = builder.constant(f"{stem}_s8", integers, DType.S8, meaning)
    value = _dequantized(builder, stem, held, where)
    if wide.any():
        builder.requantized[value] = const.real()
    return value


def _integers(const: Const) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Integers with zero point 0, the scale of each output channel, and which channels moved."""
    assert const.scale is not None and const.zero_point is not None
    count = const.shape[0]
    scale = const.scale.reshape(count, -1)
    shifted = const.data.astype(np.int64) - const.zero_point
    flat = shifted.reshape(count, -1)
    wide = (flat.min(1) < -128) | (flat.max(1) > 127) | (scale != scale[:, :1]).any(1)
    if not wide.any():
        return shifted, scale[:, 0].astype(np.float64), wide
    integers, scales = symmetric_weights(const.real())
    integers, scales = integers.astype(np.int64), scales.astype(np.float64)
    integers[~wide], scales[~wide] = shifted[~wide], scale[~wide, 0]
    return integers, scales, wide


def bias_value(builder: GraphWriter, stem: str, const: Const, where: Where) -> Value:
    """An f32 value with the bias [O]; integers stay s32 behind a `dequantize` node."""
    count = const.shape[0]
    if const.scale is None or const.zero_point is None:
        return builder.constant(stem, const.data, DType.F32)
    shifted = const.data.astype(np.int64) - const.zero_point
    if np.abs(shifted).max(initial=0) > 2**31 - 1:
        return builder.constant(stem, const.real(), DType.F32)
    scales = np.broadcast_to(const.scale.reshape(-1), (count,))
    meaning = Quantization(tuple(float(np.float32(s)) for s in scales), 0, 0)
    held = builder.constant(f"{stem}_s32", shifted, DType.S32, meaning)
    return _dequantized(builder, stem, held, where)


def _dequantized(builder: GraphWriter, stem: str, held: Value, where: Where) -> Value:
    type_ = TensorType(held.type.shape, DType.F32)
    return builder.node(
        "dequantize", [held], type_, name=builder.numbered("dequantize"), result=stem, where=where
    )
