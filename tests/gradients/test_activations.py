"""Tables of activations against PyTorch: values within half a unit, slopes within half of 2^-14."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.support.graphs import Net
from tinytrain.errors import ModelError
from tinytrain.ir.expression import EXPRESSION, Step, value_and_slope
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.reference.activations import (
    activation_grad_table,
    activation_table,
    slope_shift,
)

Curve = Callable[[torch.Tensor], torch.Tensor]

FUNCTIONS: dict[str, Curve] = {
    "identity": lambda x: x * 1.0,
    "relu": torch.relu,
    "relu6": F.relu6,
    "leaky_relu": lambda x: F.leaky_relu(x, 0.01),
    "hard_sigmoid": lambda x: torch.clamp(x / 6 + 0.5, 0, 1),
    "hard_swish": F.hardswish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
}
PARAMETERS = {"leaky_relu": (0.01, 0.0), "hard_sigmoid": (1 / 6, 0.5)}
STEEP: dict[str, tuple[Curve, float, float, int]] = {
    "leaky_relu": (lambda x: F.leaky_relu(x, 3.0), 3.0, 0.0, 13),
    "square": (torch.square, 0.0, 0.0, 12),
    "exp": (torch.exp, 0.0, 0.0, 12),
    "power": (lambda x: x**3, 3.0, 0.0, 11),
    "linear": (lambda x: 100.0 * x, 100.0, 0.0, 8),
}
"""With alpha, beta and the unit of the slopes."""
EXPRESSIONS: dict[str, tuple[Curve, tuple[Step, ...]]] = {
    "quick gelu": (
        lambda x: x * torch.sigmoid(1.702 * x),
        (("linear", (0,), 1.702, 0.0), ("sigmoid", (1,), 0.0, 0.0), ("multiply", (0, 2), 0.0, 0.0)),
    ),
    "quotient": (
        lambda x: x / (1 + torch.exp(-x)) - torch.maximum(x, 0.3 * x),
        (
            ("linear", (0,), -1.0, 0.0),
            ("exp", (1,), 0.0, 0.0),
            ("linear", (2,), 1.0, 1.0),
            ("divide", (0, 3), 0.0, 0.0),
            ("linear", (0,), 0.3, 0.0),
            ("maximum", (0, 5), 0.0, 0.0),
            ("subtract", (4, 6), 0.0, 0.0),
        ),
    ),
    "bump": (
        lambda x: torch.minimum(torch.exp(-x * x) + x, torch.tanh(x)),
        (
            ("square", (0,), 0.0, 0.0),
            ("linear", (1,), -1.0, 0.0),
            ("exp", (2,), 0.0, 0.0),
            ("add", (3, 0), 0.0, 0.0),
            ("tanh", (0,), 0.0, 0.0),
            ("minimum", (4, 5), 0.0, 0.0),
        ),
    ),
}


def nodes(scale: float, **attrs: object) -> tuple[Node, Node]:
    """An activation of 256 integers, and its gradient."""
    # An odd scale, so that no integer stands exactly at a kink.
    source, target = Quantization((scale,), 7), Quantization((0.04,), -30)
    x = Value("x", TensorType((1, 4), DType.S8, source))
    y = Value("y", TensorType((1, 4), DType.S8, target))
    attrs = {"alpha": 0.0, "beta": 0.0, **attrs}
    forward = Node("activation", (x,), (y,), attrs, "a")
    attrs["output_quantization"] = (0.04, -30)
    return forward, Node("activation_grad", (x, x), (y,), attrs, "b")


def check(curve: Curve, scale: float, forward: Node, backward: Node) -> None:
    """Tables against PyTorch, half a unit of each and what double precision adds."""
    real = torch.tensor(scale * (np.arange(-128, 128) - 7), dtype=torch.float64, requires_grad=True)
    value = curve(real)
    value.sum().backward()
    assert real.grad is not None
    exact = value.detach().numpy() / 0.04 - 30
    assert np.abs(activation_table(forward) - np.clip(exact, -128, 127)).max() <= 0.5 + 1e-9
    unit = 2.0 ** -slope_shift(backward)
    slope = activation_grad_table(backward) * unit
    saturated = (np.round(exact) > 127) | (np.round(exact) < -128)
    wanted = np.where(saturated, 0.0, real.grad.numpy())
    # At 0 itself PyTorch takes the left side of some kinks.
    away = np.abs(real.detach().numpy()) > 1e-12
    assert np.abs(slope - wanted)[away].max() <= unit / 2 + 1e-9


@pytest.mark.parametrize("function", STEEP)
def test_slopes_of_two_and_more_have_coarser_units(function: str) -> None:
    curve, alpha, beta, shift = STEEP[function]
    forward, backward = nodes(0.0211, function=function, alpha=alpha, beta=beta)
    assert slope_shift(backward) == shift
    check(curve, 0.0211, forward, backward)


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name: str) -> None:
    curve, steps = EXPRESSIONS[name]
    check(curve, 0.0321, *nodes(0.0321, function=EXPRESSION, steps=steps))


def test_a_slope_beyond_s16_is_an_error() -> None:
    _, backward = nodes(1e-6, function="linear", alpha=40_000.0)
    with pytest.raises(ModelError, match="'linear' rises by up to 4e\\+04 times its input"):
        slope_shift(backward)


def test_where_a_function_has_no_value_or_no_slope() -> None:
    forward, backward = nodes(0.01, function="log")
    table, slope = activation_table(forward), activation_grad_table(backward)
    assert (table[:136] == -128).all() and (slope[:136] == 0).all() and table[-1] > -30
    forward, backward = nodes(0.01, function="sqrt")
    # At 0 the slope is that of the secant to the next input.
    assert activation_grad_table(backward)[135] == round(0.1 / 0.01 * 2 ** slope_shift(backward))
    nowhere, _ = nodes(0.01, function=EXPRESSION, steps=(
        ("square", (0,), 0.0, 0.0), ("linear", (1,), -1.0, -1.0), ("sqrt", (2,), 0.0, 0.0),
    ))  # fmt: skip
    with pytest.raises(ModelError, match="'expression of square, linear, sqrt' has no value"):
        activation_table(nowhere)


def test_rounding_inside_an_expression_is_that_of_integers() -> None:
    step = ("quantize", (0,), 0.1, -3.0)
    value, slope = value_and_slope((step,), np.array([-13.0, -12.51, 0.04, 0.06, 13.0, 13.2]))
    assert np.allclose(value, [-12.5, -12.5, 0.0, 0.1, 13.0, 13.0])
    assert list(slope) == [0, 1, 1, 1, 1, 0]


# Half a unit of 2^-14, and what double precision adds.
SLOPE_ERROR = 0.5 / 2**14 + 1e-9


@pytest.mark.parametrize("function", FUNCTIONS)
def test_tables(function: str) -> None:
    alpha, beta = PARAMETERS.get(function, (0.0, 0.0))
    # An odd scale, so that no integer stands exactly at a kink.
    source = Quantization((0.0621,), 7)
    target = Quantization((0.04,), -30)
    x = Net((1, 2, 2, 1), 0).builder.value("v", TensorType((1, 4), DType.S8, source))
    y = Net((1, 2, 2, 1), 0).builder.value("w", TensorType((1, 4), DType.S8, target))
    attrs = {"function": function, "alpha": alpha, "beta": beta}
    real = torch.tensor(
        0.0621 * (np.arange(-128, 128) - 7), dtype=torch.float64, requires_grad=True
    )
    value = FUNCTIONS[function](real)
    value.sum().backward()
    exact = value.detach().numpy() / 0.04 - 30
    table = activation_table(Node("activation", (x,), (y,), attrs, "a"))
    assert np.abs(table - np.clip(exact, -128, 127)).max() <= 0.5 + 1e-9
    backward = Node(
        "activation_grad", (x, x), (y,), {**attrs, "output_quantization": (0.04, -30)}, "b"
    )
    slope = activation_grad_table(backward) / 2.0**14
    assert real.grad is not None
    saturated = (np.round(exact) > 127) | (np.round(exact) < -128)
    wanted = np.where(saturated, 0.0, real.grad.numpy())
    # At 0 itself PyTorch takes the left side of some kinks.
    away = np.abs(real.detach().numpy()) > 1e-12
    assert np.abs(slope - wanted)[away].max() <= SLOPE_ERROR
