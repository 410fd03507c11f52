"""Weights that layers of the user's model share are one constant, and one parameter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn
from torch.nn import functional as F

from tests.support import onnx_models
from tests.support.tflite_writer import TfliteWriter
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import traits_of
from tinytrain.passes.base import Runner
from tinytrain.quantize.calibrate import quantize_float
from tinytrain.quantize.integerize import integerize


class Twice(nn.Module):
    """One block, with a batch normalisation, that is applied twice."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, padding=1)
        self.block = nn.Sequential(nn.Conv2d(6, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6))
        self.head = nn.Linear(6, 4)
        norm = self.block[1]
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_var is not None
        norm.running_var.copy_(torch.linspace(0.5, 2.0, 6))
        norm.bias.data.copy_(torch.linspace(-0.3, 0.3, 6))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        x = F.relu(self.block(x))
        return self.head(F.relu(self.block(x)).mean((2, 3)))


class OwnNorms(Twice):
    """The same convolution twice, with a batch normalisation of its own each time."""

    def __init__(self) -> None:
        super().__init__()
        self.other = nn.BatchNorm2d(6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.block(F.relu(self.first(x))))
        return self.head(F.relu(self.other(self.block[0](x))).mean((2, 3)))


class Tied(nn.Module):
    """Two layers with one weight and biases of their own; or its transpose."""

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(8, 8), nn.Linear(8, 8)
        self.head = nn.Linear(8, 4)
        self.second.weight = self.first.weight
        self.transposed = transposed

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.relu(self.first(x))
        weight = self.second.weight.t() if self.transposed else self.second.weight
        return self.head(F.relu(F.linear(x, weight, self.second.bias)))


def integers(graph: Graph) -> Graph:
    shape = graph.inputs[0].type.shape
    samples = np.random.default_rng(0).normal(size=(8, *shape[1:])).astype(np.float32)
    return integerize(quantize_float(graph, samples))


def constants(graph: Graph) -> tuple[int, int]:
    """How many different weights and biases the layers have."""
    layers = [node for node in graph.nodes if traits_of(node).has_weights]
    made = graph.producers()
    biases = {made[b].inputs[0] if b in made else b for b in (node.inputs[2] for node in layers)}
    return len({node.inputs[1] for node in layers}), len(biases)


def module(make: Callable[[], nn.Module], shape: tuple[int, ...]) -> Graph:
    torch.manual_seed(0)
    return load_model(make().eval(), example=torch.zeros(shape))


def test_a_module_that_is_used_twice_is_one_parameter() -> None:
    graph = integers(module(Twice, (1, 3, 6, 6)))
    assert constants(graph) == (3, 3)
    assert [node.op for node in graph.nodes].count("rescale_bias") == 1
    step = build_step(graph, Options(fraction_bits=0), Runner()).graph
    held = {value.name: data.nbytes for value, data in step.parameters.items()}
    assert held == {
        "conv_0_w": 6 * 3 * 9, "conv_0_b": 24, "conv_1_w": 6 * 6 * 9, "conv_1_b": 24,
        "dense_0_w": 24, "dense_0_b": 16,
    }  # fmt: skip
    frozen = build_step(graph, Options(scheme="head"), Runner()).graph
    assert all(node.op != "rescale_bias" for node in frozen.nodes)


def test_tied_weights_are_one_parameter_and_their_biases_two() -> None:
    graph = integers(module(lambda: Tied(transposed=False), (1, 8)))
    assert constants(graph) == (2, 3)


@pytest.mark.parametrize(
    ("make", "shape", "source", "layers"),
    [
        (lambda: Tied(transposed=True), (1, 8), "'first.weight'", 3),
        (OwnNorms, (1, 3, 6, 6), "'block.0.weight'", 4),
    ],
)
def test_one_tensor_in_two_forms_is_said(
    make: Callable[[], nn.Module], shape: tuple[int, ...], source: str, layers: int
) -> None:
    graph = module(make, shape)
    (note,) = graph.source.notes
    assert note.startswith(f"{source} is used in two forms, in ")
    assert constants(integers(graph)) == (layers, layers)


def test_a_tensor_that_two_operators_read(tmp_path: Path) -> None:
    rng, w = np.random.default_rng(0), TfliteWriter()
    kernel = w.constant("w", rng.normal(size=(6, 6)).astype(np.float32))
    bias = w.constant("b", rng.normal(size=6).astype(np.float32))
    x = w.tensor("x", (1, 6))
    a = w.operator("FULLY_CONNECTED", [x, kernel, bias], (1, 6), "FullyConnectedOptions")
    b = w.operator("FULLY_CONNECTED", [a, kernel, bias], (1, 6), "FullyConnectedOptions")
    path = tmp_path / "m.tflite"
    path.write_bytes(w.finish(x, b))
    assert constants(integers(load_model(path))) == (1, 1)


@pytest.mark.parametrize("quantized", [False, True])
def test_an_initializer_that_two_nodes_read(tmp_path: Path, quantized: bool) -> None:
    rng = np.random.default_rng(0)
    held: dict[str, np.ndarray] = {"v": rng.normal(size=(6, 3)).astype(np.float32)}
    nodes = []
    if quantized:
        held |= {"w8": rng.integers(-127, 128, (6, 6)).astype(np.int8), "z": np.int8(0).reshape(())}
        held |= {
            name: np.float32(s).reshape(())
            for name, s in zip("stu", (0.004, 0.03, 0.05), strict=True)
        }
        nodes.append(helper.make_node("DequantizeLinear", ["w8", "s", "z"], ["w"]))
    else:
        held["w"] = rng.normal(size=(6, 6)).astype(np.float32)

    def rounded(source: str, scale: str) -> str:
        if not quantized:
            return source
        for op, end in (("QuantizeLinear", "q"), ("DequantizeLinear", "d")):
            nodes.append(helper.make_node(op, [source, scale, "z"], [source + end]))
            source += end
        return source

    nodes.append(helper.make_node("MatMul", [rounded("x", "t"), "w"], ["a"], name="one"))
    nodes.append(helper.make_node("MatMul", [rounded("a", "u"), "w"], ["b"], name="two"))
    nodes.append(helper.make_node("MatMul", [rounded("b", "t"), "v"], ["c"], name="head"))
    nodes.append(helper.make_node("Identity", [rounded("c", "u")], ["y"]))
    path = onnx_models.save(tmp_path / "m.onnx", nodes, held, inputs={"x": (1, 6)})
    assert constants(integers(load_model(path))) == (2, 2)
