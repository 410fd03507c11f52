"""Expressions of one number become one table, in float and in quantized models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn
from torch.nn import functional as F

from tests.support import onnx_models
from tinytrain.frontend import import_model, load_model
from tinytrain.frontend.proof import prove
from tinytrain.ir.expression import curve_of
from tinytrain.ir.graph import Graph, Node
from tinytrain.quantize.integerize import integerize
from tinytrain.reference.interpret import run_forward

Curve = Callable[[torch.Tensor], torch.Tensor]

CURVES: dict[str, tuple[Curve, list[str]]] = {
    "silu": (lambda x: x * torch.sigmoid(x), ["silu"]),
    "gelu": (lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5)), ["gelu"]),
    "gelu by tanh": (
        lambda x: 0.5 * x * (1 + torch.tanh(0.79788456 * (x + 0.044715 * x**3))),
        ["gelu_tanh"],
    ),
    "mish": (lambda x: x * torch.tanh(F.softplus(x)), ["mish"]),
    "softplus": (lambda x: torch.log(1 + torch.exp(x)), ["softplus"]),
    "log sigmoid": (lambda x: torch.log(torch.sigmoid(x)), ["log_sigmoid"]),
    "softsign": (lambda x: x / (1 + x.abs()), ["softsign"]),
    "square": (lambda x: x * x, ["square"]),
    "a square with a bound": (lambda x: (x * x).clamp(max=100), ["expression"]),
    "a size with a bound": (lambda x: x.abs().clamp(max=20), ["expression"]),
    "quick gelu": (lambda x: x * torch.sigmoid(1.702 * x), ["expression"]),
    "prelu of Keras": (lambda x: F.relu(x) - 0.3 * F.relu(-x), ["expression"]),
    "snake": (lambda x: x + torch.sin(x) ** 2, ["expression"]),
    "scaled sigmoid": (lambda x: torch.sigmoid(x) * 2 - 1, ["expression"]),
    "two at once": (lambda x: x.sigmoid() * 2 * torch.tanh(x + 1), ["expression"]),
    "minimum": (lambda x: torch.minimum(x, 0.5 * x), ["expression"]),
    "behind a relu": (lambda x: F.relu(x) ** 2, ["relu", "square"]),
    "behind a product": (lambda x: torch.tanh(2 * x), ["tanh"]),
    "between readers": (lambda x: torch.cat([y := torch.exp(-x), y.sin()], 1), ["exp", "sin"]),
    "of two": (lambda x: x[:, :4].sigmoid() * x[:, 4:], ["sigmoid"]),
}
"""Each with the activations that are left of it."""


class Around(nn.Module):
    """A curve between two convolutions."""

    def __init__(self, curve: Curve) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.curve = curve
        self.before = nn.Conv2d(3, 8, 3)
        width = curve(torch.zeros(1, 8, 1, 1)).shape[1]
        self.behind = nn.Conv2d(width, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.behind(self.curve(self.before(x)))


def activations(graph: Graph) -> list[Node]:
    return [node for node in graph.nodes if node.op == "activation"]


@pytest.mark.parametrize("name", CURVES)
def test_float(name: str) -> None:
    curve, wanted = CURVES[name]
    found = import_model(Around(curve), example=torch.zeros(1, 3, 5, 5))
    assert prove(found).reference is not None
    functions = [node.attrs["function"] for node in activations(found.graph)]
    assert functions == wanted


def quantized(path: Path) -> Path:
    """x * sigmoid(x) with integers between its parts, behind a tanh."""
    numbers = {"s": 0.05, "t": 1 / 256, "u": 0.03, "v": 1 / 128}
    held: dict[str, np.ndarray] = {k: np.float32(n).reshape(()) for k, n in numbers.items()}
    held |= {"z": np.int8(4).reshape(()), "m": np.int8(-128).reshape(())}
    held["w"] = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    nodes = []

    def integers(source: str, scale: str, zero: str = "z", readers: int = 1) -> list[str]:
        nodes.append(helper.make_node("QuantizeLinear", [source, scale, zero], [f"{source}_q"]))
        results = [f"{source}_{k}" for k in range(readers)]
        for result in results:
            args = [f"{source}_q", scale, zero]
            nodes.append(helper.make_node("DequantizeLinear", args, [result]))
        return results

    (x,) = integers("x", "s")
    nodes.append(helper.make_node("Tanh", [x], ["a"]))
    left, right = integers("a", "v", readers=2)
    nodes.append(helper.make_node("Sigmoid", [left], ["b"]))
    (gate,) = integers("b", "t", "m")
    nodes.append(helper.make_node("Mul", [right, gate], ["c"]))
    (y,) = integers("c", "v")
    nodes.append(helper.make_node("Identity", [y], ["y"]))
    return onnx_models.save(path, nodes, held, inputs={"x": (1, 256)}, opset=19)


def test_integers(tmp_path: Path) -> None:
    path = quantized(tmp_path / "m.onnx")
    found = import_model(path)
    assert prove(found).reference is not None
    graph = integerize(found.graph)
    (node,) = activations(graph)
    assert [step[0] for step in node.attrs["steps"]] == [
        "tanh", "quantize", "sigmoid", "quantize", "multiply",
    ]  # fmt: skip
    x = np.arange(-128, 128).astype(np.int8)[None]
    (y,) = (data for value, data in run_forward(graph, {"x": x}).items() if value == node.output)
    # What the parts give one after the other, as ONNX defines them.
    from onnx.reference import ReferenceEvaluator

    real = (0.05 * (x.astype(np.float32) - 4)).astype(np.float32)
    model = onnx.load(path)
    model.graph.output[0].name = "c_q"
    model.graph.output[0].type.tensor_type.elem_type = onnx.TensorProto.INT8
    (wanted,) = ReferenceEvaluator(model).run(["c_q"], {"x": real})
    assert np.abs(y.astype(int) - wanted).max() <= 1 and (y != wanted).mean() < 0.01


def test_an_expression_with_a_name_is_called_by_it() -> None:
    graph = load_model(Around(CURVES["mish"][0]), example=torch.zeros(1, 3, 5, 5))
    (node,) = activations(graph)
    x = np.linspace(-5, 5, 11)
    value, _ = curve_of(node.attrs, x)
    assert np.allclose(value, F.mish(torch.tensor(x)))
