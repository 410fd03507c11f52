"""Weights and biases of an s8 layer: s8 per output channel, and s32 at scale s_x * s_w[o]."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.quantize.limits import LEAST_WEIGHT_SCALE
from tinytrain.reference.symmetric import symmetric_weights


@dataclass(frozen=True)
class IntegerWeights:
    """Weights s8 and bias s32 of one layer, with their data.

    `coarser` counts the channels whose scale had to grow to keep the accumulator safe.
    """

    w: Value
    b: Value
    w_data: np.ndarray
    b_data: np.ndarray
    coarser: int


def integer_weights(
    graph: Graph,
    producers: Mapping[Value, Node],
    node: Node,
    x: Value,
    least: np.ndarray | None = None,
) -> IntegerWeights:
    """Weights and bias of a conv2d or dense node.

    s8 weights keep their integers; f32 weights are quantized symmetrically, one scale for each
    output channel. The bias is rounded to s_x * s_w[o]; where the model holds it at that scale
    already, its integers stay.

    Args:
        x: the s8 input of the layer.
        least: scales of the weights that another layer needs, which shares them; float32 [O].

    Raises:
        ModelError: more products in a sum than an s32 accumulator holds.
    """
    w_value, b_value = (_behind_dequantize(producers, value) for value in node.inputs[1:])
    w_data, b_data = graph.data(w_value), graph.data(b_value)
    assert w_data is not None and b_data is not None
    terms = traits_of(node).terms
    assert terms is not None
    if terms.count(node) > terms.most(node):
        raise ModelError(
            f"each output of '{node.op}' sums {terms.count(node)} products; 32-bit accumulators "
            f"hold {terms.most(node)}",
            where=node.where,
            help="pool or reduce the channels before this layer",
        )
    if w_value.type.dtype is DType.S8:
        meaning = w_value.type.quantization
        assert meaning is not None
        scales = meaning.scales(w_data.shape[0]).astype(np.float32)
    else:
        w_data, scales = symmetric_weights(w_data)
    assert x.type.quantization is not None
    if least is not None:
        w_data, scales = _coarser(w_data, scales, least)
    w_data, scales, b_int, coarser = _safe(
        w_data, scales, x.type.quantization.scale[0], b_value, b_data.reshape(-1)
    )
    unit = np.float64(x.type.quantization.scale[0]) * scales.astype(np.float64)
    stem = w_value.name.removesuffix("_s8").removesuffix("_w")
    w_meaning = Quantization(tuple(float(scale) for scale in scales), 0, 0)
    b_meaning = Quantization(tuple(float(np.float32(u)) for u in unit), 0, 0)
    return IntegerWeights(
        Value(f"{stem}_w", TensorType(w_value.type.shape, DType.S8, w_meaning)),
        Value(f"{stem}_b", TensorType(b_value.type.shape, DType.S32, b_meaning)),
        np.ascontiguousarray(w_data, dtype=np.int8),
        b_int,
        coarser,
    )


def _coarser(
    w_data: np.ndarray, scales: np.ndarray, least: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The weights at scales that are `least` at least."""
    wanted = np.maximum(scales, least)
    ratios = (scales.astype(np.float64) / wanted).reshape(-1, *(1,) * (w_data.ndim - 1))
    return np.rint(w_data * ratios).astype(np.int8), wanted


def _behind_dequantize(producers: Mapping[Value, Node], value: Value) -> Value:
    node = producers.get(value)
    return node.inputs[0] if node is not None and node.op == "dequantize" else value


def _safe(
    w_data: np.ndarray, scales: np.ndarray, x_scale: float, bias: Value, b_data: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, int]:
    """Weights, scales and s32 bias for which no accumulator leaves s32, whatever is trained.

    A channel whose weights are nearly zero has a tiny scale, in which its bias is a huge number.
    Its scale is doubled until the bias leaves room for the products; its weights, already far below
    what the bias adds, are rounded to the coarser scale.
    """
    room = 2**30
    w_data, scales = w_data.copy(), scales.astype(np.float32).copy()
    tiny = scales < LEAST_WEIGHT_SCALE
    w_data[tiny], scales[tiny] = 0, LEAST_WEIGHT_SCALE
    b_int = _bias(bias, b_data, np.float64(x_scale) * scales.astype(np.float64))
    channels = np.flatnonzero(np.abs(b_int) > room)
    for channel in channels:
        halvings = int(np.ceil(np.log2(np.abs(b_int[channel]) / room)))
        factor = 2.0**halvings
        scales[channel] *= np.float32(factor)
        w_data[channel] = np.rint(w_data[channel] / factor)
        b_int[channel] = np.rint(b_int[channel] / factor)
    return w_data, scales, b_int.astype(np.int32), len(channels)


def _bias(value: Value, data: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """The bias in units of s_x * s_w[o], float64 holding integers."""
    meaning = value.type.quantization
    if meaning is None:
        return np.asarray(np.rint(data.astype(np.float64) / unit))
    scales = meaning.scales(data.size)
    # Exporters round s_x * s_w to float32: the same scale then, and the integers are exact.
    if value.type.dtype is DType.S32 and np.allclose(scales, unit, rtol=1e-5, atol=0.0):
        return data.astype(np.float64)
    return np.asarray(np.rint((data.astype(np.float64) - meaning.zero_point) * scales / unit))
