"""Functions of one number: the table behind the `activation` operation.

In s8 form each of them, and any chain of them, is a table of 256 entries; its gradient is another.
Every function takes x in float64 and two parameters alpha and beta, 0 where it has none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Curve = Callable[[np.ndarray, float, float], np.ndarray]

_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805
_GELU_SLOPE = math.sqrt(2.0 / math.pi)
_GELU_CUBE = 0.044715


@dataclass(frozen=True)
class Unary:
    """One row of the table.

    Attributes:
        meaning: the formula, as docs and error messages show it.
        value: the function.
        slope: its derivative; at a kink that of the right side.
        jumps: whether it is flat between jumps, so that nothing can be trained through it.
    """

    meaning: str
    value: Curve
    slope: Curve
    jumps: bool = False


def erf(x: np.ndarray) -> np.ndarray:
    """The error function, element by element, in double precision."""
    flat = np.asarray(x, dtype=np.float64)
    return np.vectorize(math.erf, otypes=[np.float64])(flat) if flat.size else flat


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x), without overflow at either end."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + e^x), without overflow."""
    return np.asarray(np.logaddexp(0.0, x))


def _normal(x: np.ndarray) -> np.ndarray:
    return np.asarray(np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))


def _gelu(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.asarray(0.5 * x * (1.0 + erf(x / math.sqrt(2.0))))


def _gelu_slope(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.asarray(0.5 * (1.0 + erf(x / math.sqrt(2.0))) + x * _normal(x))


def _gelu_tanh(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.asarray(0.5 * x * (1.0 + np.tanh(_GELU_SLOPE * (x + _GELU_CUBE * x**3))))


def _gelu_tanh_slope(x: np.ndarray, a: float, b: float) -> np.ndarray:
    t = np.tanh(_GELU_SLOPE * (x + _GELU_CUBE * x**3))
    inner = _GELU_SLOPE * (1.0 + 3.0 * _GELU_CUBE * x * x)
    return np.asarray(0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * inner)


def _silu_slope(x: np.ndarray, a: float, b: float) -> np.ndarray:
    s = sigmoid(x)
    return np.asarray(s * (1.0 + x * (1.0 - s)))


def _mish_slope(x: np.ndarray, a: float, b: float) -> np.ndarray:
    t = np.tanh(softplus(x))
    return np.asarray(t + x * (1.0 - t * t) * sigmoid(x))


def _elu(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.where(x >= 0, x, a * np.expm1(np.minimum(x, 0.0)))


def _elu_slope(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.where(x >= 0, 1.0, a * np.exp(np.minimum(x, 0.0)))


def _celu(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.where(x >= 0, x, a * np.expm1(np.minimum(x, 0.0) / a))


def _celu_slope(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.where(x >= 0, 1.0, np.exp(np.minimum(x, 0.0) / a))


def _flat(x: np.ndarray, a: float, b: float) -> np.ndarray:
    return np.zeros_like(x)


UNARY: dict[str, Unary] = {
    "identity": Unary("x", lambda x, a, b: x, lambda x, a, b: np.ones_like(x)),
    "relu": Unary(
        "max(0, x)",
        lambda x, a, b: np.maximum(x, 0.0),
        lambda x, a, b: np.where(x >= 0, 1.0, 0.0),
    ),
    "relu6": Unary(
        "max(0, min(6, x))",
        lambda x, a, b: np.clip(x, 0.0, 6.0),
        lambda x, a, b: np.where((x >= 0) & (x < 6), 1.0, 0.0),
    ),
    "clip": Unary(
        "max(alpha, min(beta, x))",
        lambda x, a, b: np.clip(x, a, b),
        lambda x, a, b: np.where((x >= a) & (x < b), 1.0, 0.0),
    ),
    "leaky_relu": Unary(
        "x, or alpha x below 0",
        lambda x, a, b: np.where(x >= 0, x, a * x),
        lambda x, a, b: np.where(x >= 0, 1.0, a),
    ),
    "hard_sigmoid": Unary(
        "max(0, min(1, alpha x + beta))",
        lambda x, a, b: np.clip(a * x + b, 0.0, 1.0),
        lambda x, a, b: np.where((a * x + b >= 0) & (a * x + b < 1), a, 0.0),
    ),
    "hard_swish": Unary(
        "x max(0, min(6, x + 3)) / 6",
        lambda x, a, b: x * np.clip(x + 3.0, 0.0, 6.0) / 6.0,
        lambda x, a, b: np.where(x < -3, 0.0, np.where(x >= 3, 1.0, (2.0 * x + 3.0) / 6.0)),
    ),
    "sigmoid": Unary(
        "1 / (1 + e^-x)",
        lambda x, a, b: sigmoid(x),
        lambda x, a, b: sigmoid(x) * (1.0 - sigmoid(x)),
    ),
    "log_sigmoid": Unary(
        "-log(1 + e^-x)", lambda x, a, b: -softplus(-x), lambda x, a, b: sigmoid(-x)
    ),
    "tanh": Unary("tanh x", lambda x, a, b: np.tanh(x), lambda x, a, b: 1.0 - np.tanh(x) ** 2),
    "elu": Unary("x, or alpha (e^x - 1) below 0", _elu, _elu_slope),
    "celu": Unary("x, or alpha (e^(x/alpha) - 1) below 0", _celu, _celu_slope),
    "selu": Unary(
        f"{_SELU_SCALE:.4f} x, or {_SELU_SCALE * _SELU_ALPHA:.4f} (e^x - 1) below 0",
        lambda x, a, b: _SELU_SCALE * _elu(x, _SELU_ALPHA, b),
        lambda x, a, b: _SELU_SCALE * _elu_slope(x, _SELU_ALPHA, b),
    ),
    "gelu": Unary("x Phi(x)", _gelu, _gelu_slope),
    "gelu_tanh": Unary("x Phi(x), by a tanh", _gelu_tanh, _gelu_tanh_slope),
    "silu": Unary("x / (1 + e^-x)", lambda x, a, b: x * sigmoid(x), _silu_slope),
    "mish": Unary("x tanh(log(1 + e^x))", lambda x, a, b: x * np.tanh(softplus(x)), _mish_slope),
    "softplus": Unary(
        "log(1 + e^(alpha x)) / alpha",
        lambda x, a, b: softplus(a * x) / a,
        lambda x, a, b: sigmoid(a * x),
    ),
    "softsign": Unary(
        "x / (1 + |x|)",
        lambda x, a, b: x / (1.0 + np.abs(x)),
        lambda x, a, b: 1.0 / (1.0 + np.abs(x)) ** 2,
    ),
    "tanh_shrink": Unary(
        "x - tanh x", lambda x, a, b: x - np.tanh(x), lambda x, a, b: np.tanh(x) ** 2
    ),
    "hard_shrink": Unary(
        "x, or 0 where |x| <= alpha",
        lambda x, a, b: np.where(np.abs(x) > a, x, 0.0),
        lambda x, a, b: np.where(np.abs(x) > a, 1.0, 0.0),
    ),
    "soft_shrink": Unary(
        "x moved toward 0 by alpha, or 0 where |x| <= alpha",
        lambda x, a, b: np.sign(x) * np.maximum(np.abs(x) - a, 0.0),
        lambda x, a, b: np.where(np.abs(x) > a, 1.0, 0.0),
    ),
    "threshold": Unary(
        "x, or beta where x <= alpha",
        lambda x, a, b: np.where(x > a, x, b),
        lambda x, a, b: np.where(x > a, 1.0, 0.0),
    ),
    "linear": Unary(
        "alpha x + beta", lambda x, a, b: a * x + b, lambda x, a, b: np.full_like(x, a)
    ),
    "absolute": Unary(
        "|x|", lambda x, a, b: np.abs(x), lambda x, a, b: np.where(x >= 0, 1.0, -1.0)
    ),
    "square": Unary("x^2", lambda x, a, b: x * x, lambda x, a, b: 2.0 * x),
    "power": Unary(
        "x^alpha",
        lambda x, a, b: np.power(x, a),
        lambda x, a, b: a * np.power(x, a - 1.0),
    ),
    "sqrt": Unary("sqrt x", lambda x, a, b: np.sqrt(x), lambda x, a, b: 0.5 / np.sqrt(x)),
    "rsqrt": Unary("1 / sqrt x", lambda x, a, b: 1.0 / np.sqrt(x), lambda x, a, b: -0.5 * x**-1.5),
    "reciprocal": Unary("1 / x", lambda x, a, b: 1.0 / x, lambda x, a, b: -1.0 / (x * x)),
    "exp": Unary("e^x", lambda x, a, b: np.exp(x), lambda x, a, b: np.exp(x)),
    "log": Unary("log x", lambda x, a, b: np.log(x), lambda x, a, b: 1.0 / x),
    "sin": Unary("sin x", lambda x, a, b: np.sin(x), lambda x, a, b: np.cos(x)),
    "cos": Unary("cos x", lambda x, a, b: np.cos(x), lambda x, a, b: -np.sin(x)),
    "erf": Unary(
        "erf x",
        lambda x, a, b: erf(x),
        lambda x, a, b: 2.0 / math.sqrt(math.pi) * np.exp(-x * x),
    ),
    "quantize": Unary(
        "x in steps of alpha: alpha (max(-128, min(127, round(x / alpha) + beta)) - beta)",
        lambda x, a, b: a * (np.clip(np.rint(x / a) + b, -128, 127) - b),
        # Rounding passes gradients on, saturation does not.
        lambda x, a, b: np.where(np.abs(np.rint(x / a) + b + 0.5) <= 127.5, 1.0, 0.0),
    ),
    "floor": Unary("floor x", lambda x, a, b: np.floor(x), _flat, jumps=True),
    "ceil": Unary("ceil x", lambda x, a, b: np.ceil(x), _flat, jumps=True),
    "round": Unary(
        "x to the nearest integer, halves to even", lambda x, a, b: np.rint(x), _flat, jumps=True
    ),
    "positive": Unary(
        "1 where x > 0, else 0", lambda x, a, b: np.where(x > 0, 1.0, 0.0), _flat, jumps=True
    ),
    "not_negative": Unary(
        "1 where x >= 0, else 0", lambda x, a, b: np.where(x >= 0, 1.0, 0.0), _flat, jumps=True
    ),
    "sign": Unary("-1, 0 or 1", lambda x, a, b: np.sign(x), _flat, jumps=True),
}
"""By name."""


def evaluate(function: str, x: np.ndarray, alpha: float = 0.0, beta: float = 0.0) -> np.ndarray:
    """A function of the table, element by element, in float64; what it has no value for is NaN."""
    with np.errstate(all="ignore"):
        return np.asarray(UNARY[function].value(np.asarray(x, dtype=np.float64), alpha, beta))
