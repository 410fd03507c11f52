"""Tables of activations against PyTorch: values within half a unit, slopes within half of 2^-14."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tests.support.graphs import Net
from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType, Quantization, TensorType
from tinytrain.reference.activations import activation_grad_table, activation_table

FUNCTIONS = {
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
