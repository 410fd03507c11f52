"""From types and attributes to the integers that a kernel gets, in the reference and in C alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.errors import InternalError, ModelError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.ops_update import VELOCITY_RESOLUTION
from tinytrain.ir.types import DType, Quantization
from tinytrain.reference import factors, gradients
from tinytrain.reference.fixed_point import multipliers, requantizers
from tinytrain.reference.windows import SlidingWindow

SLOPE_SHIFT = 14
"""Slopes of activations are held in units of 2^-14, as s16."""

PRE_SHIFT = {DType.S8: 7, DType.S16: 15, DType.F32: 0}
_LARGEST_MULTIPLIER = 2.0**30 * (1 - 2.0**-24)


def quantization(value: Value) -> Quantization:
    """The quantization of a forward integer.

    Raises:
        InternalError: it has none.
    """
    if value.type.quantization is None:
        raise InternalError(f"{value} has no quantization")
    return value.type.quantization


def scale_of(value: Value) -> float:
    """The per-tensor scale."""
    return quantization(value).scale[0]


def zero_of(value: Value) -> int:
    """The zero point."""
    return quantization(value).zero_point


def conv_requant(x: Value, w: Value, y: Value) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) for each output channel of a convolution."""
    real = scale_of(x) * quantization(w).scales(w.type.shape[0]) / scale_of(y)
    return requantizers(np.minimum(real, _LARGEST_MULTIPLIER))


def add_factors(a: Value, b: Value, y: Value) -> tuple[tuple[int, int], int]:
    """Factors of a and b, below 2**21, and the shift behind them, in [1, 30]."""
    ratios = scale_of(a) / scale_of(y), scale_of(b) / scale_of(y)
    shift = 30
    while shift > 1 and round(max(ratios) * 2.0**shift) >= 2**21:
        shift -= 1
    left, right = (min(round(ratio * 2.0**shift), 2**21 - 1) for ratio in ratios)
    return (left, right), shift


def multiply_requant(a: Value, b: Value, y: Value) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) of a multiplication, one entry."""
    return requantizers([scale_of(a) * scale_of(b) / scale_of(y)])


def avg_pool_requant(node: Node) -> tuple[np.ndarray, np.ndarray] | None:
    """(M, S) by count - 1; None where the quantization does not change."""
    x, y = node.inputs[0], node.output
    if quantization(x) == quantization(y):
        return None
    counts = np.arange(1, node.attrs["window"][0] * node.attrs["window"][1] + 1)
    return requantizers(scale_of(x) / (scale_of(y) * counts))


# ---- activations ---------------------------------------------------------------------------------

_Curve = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1.0 / (1.0 + np.exp(-x))
    return result


def _curve(function: str, alpha: float, beta: float) -> _Curve:
    """A function and its derivative, in float64; at a kink that of the right side."""
    curves: dict[str, _Curve] = {
        "identity": (lambda x: x, np.ones_like),
        "relu": (lambda x: np.maximum(x, 0.0), lambda x: np.where(x >= 0, 1.0, 0.0)),
        "relu6": (lambda x: np.clip(x, 0.0, 6.0), lambda x: np.where((x >= 0) & (x < 6), 1.0, 0.0)),
        "leaky_relu": (
            lambda x: np.where(x >= 0, x, alpha * x),
            lambda x: np.where(x >= 0, 1.0, alpha),
        ),
        "hard_sigmoid": (
            lambda x: np.clip(alpha * x + beta, 0.0, 1.0),
            lambda x: np.where((alpha * x + beta >= 0) & (alpha * x + beta < 1), alpha, 0.0),
        ),
        "hard_swish": (
            lambda x: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
            lambda x: np.where(x < -3, 0.0, np.where(x >= 3, 1.0, (2.0 * x + 3.0) / 6.0)),
        ),
        "sigmoid": (_sigmoid, lambda x: _sigmoid(x) * (1.0 - _sigmoid(x))),
        "tanh": (np.tanh, lambda x: 1.0 - np.tanh(x) ** 2),
    }
    return curves[function]


def _table_input(x: Value) -> np.ndarray:
    return scale_of(x) * (np.arange(-128, 128, dtype=np.float64) - zero_of(x))


def activation_table(node: Node) -> np.ndarray:
    """T of docs/arithmetic.md section 2, s8 [256]."""
    function, _ = _curve(node.attrs["function"], node.attrs["alpha"], node.attrs["beta"])
    real = function(_table_input(node.inputs[0]))
    q = np.round(real / scale_of(node.output)) + zero_of(node.output)
    return np.clip(q, -128, 127).astype(np.int8)


def activation_grad_table(node: Node) -> np.ndarray:
    """D of docs/arithmetic.md section 4 for an `activation_grad` node, s16 [256].

    Raises:
        ModelError: a slope of 2 or more, which the table cannot hold.
    """
    function, derivative = _curve(node.attrs["function"], node.attrs["alpha"], node.attrs["beta"])
    x = _table_input(node.inputs[1])
    scale, zero = node.attrs["output_quantization"]
    q = np.round(function(x) / scale) + zero
    slope = np.where((q > 127) | (q < -128), 0.0, derivative(x))
    if np.abs(slope).max() >= 2.0:
        raise ModelError(
            f"'{node.attrs['function']}' has slopes of 2 or more, which its gradient cannot hold",
            where=node.where,
            help="train only layers behind it, or scale the function down",
        )
    return np.round(2.0**SLOPE_SHIFT * slope).clip(-32767, 32767).astype(np.int16)


# ---- gradients -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factors:
    """Factors on the way into a sum.

    Attributes:
        integer: m, int16.
        real: f32, for f32 gradients.
        shift: c.
    """

    integer: np.ndarray
    real: np.ndarray
    shift: int


def conv_factors(w: Value, groups: int, dtype: DType) -> Factors:
    """m[o] and c of a convolution's dX."""
    scales = quantization(w).scales(w.type.shape[0])
    m, k = factors.conv2d_factors(scales, w.type.shape[1] * w.type.shape[2], groups)
    return Factors(m, scales.astype(np.float32), k - PRE_SHIFT[dtype])


def avg_pool_factors(node: Node) -> Factors:
    """m[count] and c of an `avg_pool2d_grad` node, by count - 1."""
    kernel, strides = node.attrs["window"], node.attrs["strides"]
    _, height, width, _ = node.attrs["input_shape"]
    window = SlidingWindow(kernel, strides, node.attrs["padding"])
    counts = window.counts(height, width, include_pad=node.attrs["count_include_pad"])
    # An element lies in at most this many windows.
    windows = -(-kernel[0] // strides[0]) * -(-kernel[1] // strides[1])
    area = kernel[0] * kernel[1]
    m, k = factors.avg_pool2d_factors(area, int(counts.min()), windows)
    real = (1.0 / np.arange(1, area + 1)).astype(np.float32)
    return Factors(m, real, k - PRE_SHIFT[node.inputs[0].type.dtype])


def multiply_mu(other: Value) -> tuple[int, int]:
    """(mu, k) with scale ~ mu * 2**-k, 2**14 <= mu < 2**15."""
    return factors.multiply_factor(scale_of(other))


# ---- updates -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Rates:
    """How a sum becomes an update, for each output channel: (M, S), c in f32, and q."""

    multiplier: np.ndarray
    shift: np.ndarray
    real: np.ndarray
    sum_shift: int


def update_rates(attrs: Mapping[str, Any], trained: Value, positions: int, dtype: DType) -> Rates:
    """Rates of one trained tensor.

    Args:
        attrs: of the update node: input_scale, resolution, and layer_rate and unscaled where it has
            them.
        trained: weights with scale s_w, or a bias with scale s_x·s_w, for each output channel.
        positions: terms in the sum.
        dtype: of the gradient.

    Raises:
        InternalError: an s8 sum could overflow.
    """
    scale = quantization(trained).scales(trained.type.shape[0])
    # QAS divides by the scale; the gradient with respect to the integer is the real one times it.
    divisor = 1.0 / scale if attrs.get("unscaled") else scale
    unit = float(attrs.get("layer_rate", 1.0)) * 2.0 ** int(attrs["resolution"])
    if trained.type.dtype is DType.S32:
        real, q = unit / divisor, 0
    else:
        real = float(attrs["input_scale"]) * unit / divisor
        q = gradients.sum_shift(positions, dtype.numpy) if dtype is not DType.F32 else 0
    if dtype is DType.S8 and q:
        raise InternalError(f"a sum over {positions} positions overflows 32 bits")
    mantissa, shift = multipliers(np.minimum(real, _LARGEST_MULTIPLIER))
    return Rates(mantissa, shift, real.astype(np.float32), q)


def velocity_units(node: Node) -> list[tuple[Value, np.ndarray]]:
    """Velocities of a `clip_factor` node, fractional bits left out, with their units squared.

    Returns:
        float32 [O] for each: the square of what one unit of the velocity means in the real domain.
    """
    found = []
    for value in node.inputs:
        if value.type.quantization is not None:
            scale = quantization(value).scales(value.type.shape[0])
            found.append((value, ((scale * 2.0**-VELOCITY_RESOLUTION) ** 2).astype(np.float32)))
    return found


def accumulated_decay(node: Node, window: int) -> np.float32:
    """What a `apply_weight` node takes off a weight for a rate of 1, the rate being a step's."""
    return np.float32(np.float32(node.attrs["decay"]) * np.float32(window))


def clip_limit(node: Node, window: int) -> np.float32:
    """What the rate of a step is multiplied by for the largest norm of a velocity."""
    return np.float32(np.float32(node.attrs["limit"]) * np.float32(window))
