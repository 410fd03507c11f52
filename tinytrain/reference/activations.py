"""Functions of activations with their derivatives, and the tables that kernels look them up in."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinytrain.errors import ModelError
from tinytrain.ir.graph import Node, Value
from tinytrain.reference.lowering import scale_of, zero_of

SLOPE_SHIFT = 14
"""Slopes of activations are held in units of 2^-14, as s16."""

Curve = tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]


def _sigmoid(x: np.ndarray) -> np.ndarray:
    result: np.ndarray = 1.0 / (1.0 + np.exp(-x))
    return result


def curve(function: str, alpha: float, beta: float) -> Curve:
    """A function and its derivative, in float64; at a kink that of the right side."""
    curves: dict[str, Curve] = {
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
    function, _ = curve(node.attrs["function"], node.attrs["alpha"], node.attrs["beta"])
    real = function(_table_input(node.inputs[0]))
    q = np.round(real / scale_of(node.output)) + zero_of(node.output)
    return np.clip(q, -128, 127).astype(np.int8)


def activation_grad_table(node: Node) -> np.ndarray:
    """D of docs/arithmetic.md section 4 for an `activation_grad` node, s16 [256].

    Raises:
        ModelError: a slope of 2 or more, which the table cannot hold.
    """
    function, derivative = curve(node.attrs["function"], node.attrs["alpha"], node.attrs["beta"])
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
