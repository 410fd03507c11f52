"""The tables that kernels look functions of one number up in, and their derivatives."""

from __future__ import annotations

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.unary import UNARY
from tinytrain.reference.lowering import scale_of, zero_of

SLOPE_SHIFT = 14
"""Slopes of activations are held in units of 2^-14, as s16."""


def curve(node: Node, x: np.ndarray, *, slope: bool = False) -> np.ndarray:
    """The function of a node, or its derivative, in float64."""
    row = UNARY[node.attrs["function"]]
    with np.errstate(all="ignore"):
        function = row.slope if slope else row.value
        return np.asarray(function(x, node.attrs["alpha"], node.attrs["beta"]))


def _table_input(x: Value) -> np.ndarray:
    return scale_of(x) * (np.arange(-128, 128, dtype=np.float64) - zero_of(x))


def activation_table(node: Node) -> np.ndarray:
    """T of docs/arithmetic.md section 2, s8 [256]."""
    real = curve(node, _table_input(node.inputs[0]))
    q = np.round(real / scale_of(node.output)) + zero_of(node.output)
    return np.clip(q, -128, 127).astype(np.int8)


def activation_grad_table(node: Node) -> np.ndarray:
    """D of docs/arithmetic.md section 4 for an `activation_grad` node, s16 [256].

    Raises:
        ModelError: a slope of 2 or more, which the table cannot hold.
    """
    x = _table_input(node.inputs[1])
    scale, zero = node.attrs["output_quantization"]
    q = np.round(curve(node, x) / scale) + zero
    slope = np.where((q > 127) | (q < -128), 0.0, curve(node, x, slope=True))
    if np.abs(slope).max() >= 2.0:
        raise ModelError(
            f"'{node.attrs['function']}' has slopes of 2 or more, which its gradient cannot hold",
            where=node.where,
            help="train only layers behind it, or scale the function down",
        )
    return np.round(2.0**SLOPE_SHIFT * slope).clip(-32767, 32767).astype(np.int16)
