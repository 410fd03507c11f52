"""From types and attributes to the integers that a kernel gets, in the reference and in C alike."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.ops_update import VELOCITY_RESOLUTION
from tinytrain.ir.types import DType, Quantization
from tinytrain.reference import gradients
from tinytrain.reference.adam import ROOT_BITS
from tinytrain.reference.fixed_point import multipliers

PRE_SHIFT = {DType.S8: 7, DType.S16: 15, DType.F32: 0}
LARGEST_MULTIPLIER = 2.0**30 * (1 - 2.0**-24)
SUM_BOUND = 2**30
"""Of the magnitude of every sum of integer gradients."""


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
    mantissa, shift = multipliers(np.minimum(real, LARGEST_MULTIPLIER))
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


def adam_constants(node: Node, window: int) -> np.ndarray:
    """What the rate of a step is multiplied by before it is divided by the root of a second moment.

    Returns:
        float32 [O] for weights, which that root counts in 2^-8 units for; [1] for a bias.
    """
    factor = float(node.attrs.get("layer_rate", 1.0)) * window
    trained = node.inputs[0]
    scale = quantization(trained).scales(trained.type.shape[0])
    if trained.type.dtype is DType.S32:
        return np.array([factor / scale.max()], np.float32)
    unit = 2.0 ** (int(node.attrs["fraction_bits"]) + ROOT_BITS)
    return (factor * unit / scale).astype(np.float32)


def adam_units(node: Node) -> np.ndarray:
    """The unit of each channel of a bias in that of its largest: float32 [O]."""
    scale = quantization(node.inputs[0]).scales(node.inputs[0].type.shape[0])
    units: np.ndarray = (scale / scale.max()).astype(np.float32)
    return units


def accumulated_decay(node: Node, window: int) -> np.float32:
    """What a `apply_weight` node takes off a weight for a rate of 1, the rate being a step's."""
    return np.float32(np.float32(node.attrs["decay"]) * np.float32(window))


def clip_limit(node: Node, window: int) -> np.float32:
    """What the rate of a step is multiplied by for the largest norm of a velocity."""
    return np.float32(np.float32(node.attrs["limit"]) * np.float32(window))
