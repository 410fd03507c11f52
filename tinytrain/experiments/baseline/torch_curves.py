"""Functions of one number in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F

from tinytrain.ir.expression import curve_of
from tinytrain.ir.graph import Node

Tensor = Any
Function = Callable[..., Tensor]


def activation(node: Node) -> Function:
    """One of `ir.unary.UNARY`, or an expression."""
    alpha, beta = node.attrs["alpha"], node.attrs["beta"]
    functions: dict[str, Function] = {
        "identity": lambda x: x,
        "relu": F.relu,
        "relu6": F.relu6,
        "leaky_relu": lambda x: F.leaky_relu(x, alpha),
        "hard_sigmoid": lambda x: (alpha * x + beta).clamp(0.0, 1.0),
        "hard_swish": F.hardswish,
        "sigmoid": torch.sigmoid,
        "tanh": torch.tanh,
    }
    return functions.get(node.attrs["function"], lambda x: _Curve.apply(x, node.attrs))


class _Curve(torch.autograd.Function):  # type: ignore[misc]
    """A function that PyTorch has not, or has with other rules at its kinks."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, attrs: Mapping[str, Any]) -> Tensor:
        value, slope = curve_of(attrs, x.numpy())
        ctx.save_for_backward(torch.from_numpy(slope).to(x.dtype))
        return torch.from_numpy(value).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None
