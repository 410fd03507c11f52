"""The tables that kernels look functions of one number up in, and their derivatives."""

from __future__ import annotations

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.expression import curve_of, name_of
from tinytrain.ir.graph import Node, Value
from tinytrain.reference.lowering import scale_of, zero_of

SLOPE_SHIFT = 14
"""Slopes below 2 are held in units of 2^-14, as s16; steeper ones in coarser units."""


def curve(node: Node, x: np.ndarray) -> np.ndarray:
    """The function of a node in float64."""
    value, _ = curve_of(node.attrs, x)
    return value


def _table_input(x: Value) -> np.ndarray:
    return scale_of(x) * (np.arange(-128, 128, dtype=np.float64) - zero_of(x))


def _values(node: Node, x: Value) -> tuple[np.ndarray, np.ndarray]:
    """The function and its derivative at the 256 inputs, numbers at all of them.

    Where the function has no value (the logarithm of a negative number) it stays at the nearest one
    that it has, with no slope. Where its slope is infinite (a square root at 0) it is that of the
    secant to a neighbour.

    Raises:
        ModelError: it has a value nowhere.
    """
    value, slope = curve_of(node.attrs, _table_input(x))
    known = np.flatnonzero(~np.isnan(value))
    if known.size == 0:
        raise ModelError(
            f"'{name_of(node.attrs)}' has no value at any number that it may be given",
            where=node.where,
            help="calibrate with real inputs of the model",
        )
    places = np.arange(256)
    nearest = known[np.abs(places[:, None] - known).argmin(axis=1)]
    slope = np.where(nearest == places, slope, 0.0)
    value = value[nearest]
    with np.errstate(all="ignore"):
        rise = np.diff(value) / scale_of(x)
    rise = np.where(np.isfinite(rise), rise, 0.0)
    ahead, behind = np.append(rise, 0.0), np.append(0.0, rise)
    secant = np.where(np.abs(ahead) >= np.abs(behind), ahead, behind)
    return value, np.where(np.isfinite(slope), slope, secant)


def _integers(value: np.ndarray, scale: float, zero: int) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.asarray(np.round(value / scale) + zero)


def activation_table(node: Node) -> np.ndarray:
    """T of docs/arithmetic.md section 2, s8 [256]."""
    value, _ = _values(node, node.inputs[0])
    q = _integers(value, scale_of(node.output), zero_of(node.output))
    return np.asarray(np.clip(q, -128, 127), dtype=np.int8)


def _slopes(node: Node) -> np.ndarray:
    """The derivative of an `activation_grad` node, 0 where the function saturates its output."""
    value, slope = _values(node, node.inputs[1])
    q = _integers(value, *node.attrs["output_quantization"])
    return np.asarray(np.where((q > 127) | (q < -128), 0.0, slope))


def slope_shift(node: Node) -> int:
    """c of docs/arithmetic.md section 4 for an `activation_grad` node: its slopes are in units of
    2^-c, the finest in which all of them fit s16, 0 to `SLOPE_SHIFT`.

    Raises:
        ModelError: a slope of 32,767 or more.
    """
    largest = float(np.abs(_slopes(node)).max())
    for shift in range(SLOPE_SHIFT, -1, -1):
        if largest * 2.0**shift < 2.0**15 - (shift < SLOPE_SHIFT):
            return shift
    raise ModelError(
        f"'{name_of(node.attrs)}' rises by up to {largest:.3g} times its input, more than its "
        "gradient can hold",
        where=node.where,
        help="train only layers behind it, or scale the function down",
    )


def activation_grad_table(node: Node) -> np.ndarray:
    """D of docs/arithmetic.md section 4 for an `activation_grad` node, s16 [256].

    Raises:
        ModelError: see `slope_shift`.
    """
    scaled = np.round(2.0 ** slope_shift(node) * _slopes(node))
    return np.asarray(scaled.clip(-32767, 32767).astype(np.int16))
