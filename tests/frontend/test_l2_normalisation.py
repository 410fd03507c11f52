"""A vector divided by its length is one operation, however a file writes it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from torch import nn
from torch.nn import functional as F

from tests.support.imported import float_output, integer_graph, integer_output
from tests.support.tflite_writer import TfliteWriter
from tinytrain.errors import ModelError
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.quantize import quantize_float


class Embedding(nn.Module):
    """Normalised at each place of a map, before a classifier and at its end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, stride=2, padding=1)
        self.embed = nn.Linear(8 * 4 * 3, 16)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.normalize(F.relu(self.conv(x)), dim=1)
        x = F.normalize(self.embed(x.flatten(1)), dim=1)
        return F.normalize(self.head(x))


def samples(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(count, 3, 8, 6)).astype(np.float32)


def normalisations(graph: Graph) -> int:
    return sum(node.op == "l2_normalize" for node in graph.nodes)


def check(graph: Graph, x: np.ndarray, wanted: np.ndarray, count: int, off: int) -> None:
    """The import equals the model; its integers stay within `off` units of it."""
    assert normalisations(graph) == count
    np.testing.assert_allclose(float_output(graph, x), wanted, rtol=1e-5, atol=1e-5)
    ours = x.transpose(0, 2, 3, 1) if graph.source.layout == "NCHW" else x
    whole = integer_graph(quantize_float(graph, ours))
    assert normalisations(whole) == count
    found, _ = integer_output(whole, x)
    assert np.abs(found.reshape(wanted.shape) - wanted).max() <= off / 128


@pytest.mark.parametrize("format", ["module", "onnx"])
def test_normalize_of_pytorch(format: str, tmp_path: Path) -> None:
    model, x = Embedding().eval(), samples(8)
    with torch.no_grad():
        wanted = model(torch.tensor(x)).numpy()
    if format == "module":
        graph = load_model(model, example=torch.tensor(x[:1]))
    else:
        path = tmp_path / "embedding.onnx"
        torch.onnx.export(model, (torch.tensor(x[:1]),), str(path), dynamo=False)
        assert any(node.op_type == "ReduceL2" for node in onnx.load(path).graph.node)
        graph = load_model(path)
    check(graph, x, wanted, 3, 8)


FORMULAS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "norm": lambda x: x / x.norm(dim=1, keepdim=True),
    "root of squares": lambda x: x / x.square().sum(1, keepdim=True).sqrt(),
    "powers and an epsilon": lambda x: x / ((x**2).sum(1, keepdim=True) + 1e-12).sqrt(),
    "reciprocal root": lambda x: torch.rsqrt((x * x).sum(1, keepdim=True).clamp_min(1e-12)) * x,
    "reciprocal": lambda x: x * torch.reciprocal((x * x).sum(1, keepdim=True).sqrt()),
}


class Formula(nn.Module):
    """A formula behind a convolution."""

    def __init__(self, formula: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 8, 3, stride=2)
        self.formula = formula

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.formula(self.conv(x))


@pytest.mark.parametrize("name", FORMULAS)
def test_formulas(name: str) -> None:
    model, x = Formula(FORMULAS[name]).eval(), samples(4)
    with torch.no_grad():
        wanted = model(torch.tensor(x)).numpy().transpose(0, 2, 3, 1)
    check(load_model(model, example=torch.tensor(x[:1])), x, wanted, 1, 5)


def test_what_is_no_normalisation_stays_what_it_is() -> None:
    for formula in (
        lambda x: x / (x.norm(dim=1, keepdim=True) + 1),
        lambda x: x / x.square().sum(1, keepdim=True),
        lambda x: x / x.square().mean(1, keepdim=True).sqrt(),
        lambda x: x.relu() / x.norm(dim=1, keepdim=True),
    ):
        with pytest.raises(ModelError):
            load_model(Formula(formula).eval(), example=torch.tensor(samples(1)))


def onnx_model(path: Path, *nodes: onnx.NodeProto, shape: tuple[int, ...] = (1, 6)) -> Path:
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    opset = [helper.make_opsetid("", 18)]
    axes = helper.make_tensor("axes", TensorProto.INT64, [1], [-1])
    most = helper.make_tensor("most", TensorProto.FLOAT, [], [1e-6])
    graph = helper.make_graph(list(nodes), "g", ends[:1], ends[1:], [axes, most])
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


WRITTEN = {
    "LpNormalization": [helper.make_node("LpNormalization", ["x"], ["y"], p=2, axis=-1)],
    "Max": [
        helper.make_node("ReduceL2", ["x", "axes"], ["n"], keepdims=1),
        helper.make_node("Max", ["n", "most"], ["m"]),
        helper.make_node("Div", ["x", "m"], ["y"]),
    ],
    "ReduceSumSquare": [
        helper.make_node("ReduceSumSquare", ["x", "axes"], ["n"], keepdims=1),
        helper.make_node("Sqrt", ["n"], ["m"]),
        helper.make_node("Div", ["x", "m"], ["y"]),
    ],
    "Unsqueeze": [
        helper.make_node("ReduceL2", ["x", "axes"], ["n"], keepdims=0),
        helper.make_node("Unsqueeze", ["n", "axes"], ["m"]),
        helper.make_node("Div", ["x", "m"], ["y"]),
    ],
}


@pytest.mark.parametrize("form", WRITTEN)
def test_forms_of_onnx(form: str, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(5, 6)).astype(np.float32)
    wanted = x / np.linalg.norm(x, axis=1, keepdims=True)
    check(load_model(onnx_model(tmp_path / "l2.onnx", *WRITTEN[form])), x, wanted, 1, 3)


def test_l2_normalization_of_tflite(tmp_path: Path) -> None:
    writer = TfliteWriter()
    x = writer.tensor("x", (1, 4, 5, 6))
    y = writer.operator("L2_NORMALIZATION", [x], (1, 4, 5, 6), "L2NormOptions")
    path = tmp_path / "l2.tflite"
    path.write_bytes(writer.finish(x, y))
    given = np.random.default_rng(2).normal(size=(3, 4, 5, 6)).astype(np.float32)
    wanted = given / np.linalg.norm(given, axis=3, keepdims=True)
    check(load_model(path), given, wanted, 1, 4)


@pytest.mark.parametrize(
    ("nodes", "shape", "what"),
    [
        ([helper.make_node("LpNormalization", ["x"], ["y"], p=1)], (1, 6), "the L1 norm"),
        ([helper.make_node("LpNormalization", ["x"], ["y"], axis=0)], (1, 6), "over axis 0"),
        ([helper.make_node("ReduceL2", ["x", "axes"], ["y"])], (1, 6), "a length over the axes"),
        (
            [
                helper.make_node("Abs", ["x"], ["z"]),
                helper.make_node("ReduceL2", ["z", "axes"], ["n"]),
                helper.make_node("Div", ["x", "n"], ["y"]),
            ],
            (1, 6),
            "a length over the axes",
        ),
    ],
    ids=["L1", "samples", "length alone", "length of another"],
)
def test_what_is_refused(
    nodes: list[onnx.NodeProto], shape: tuple[int, ...], what: str, tmp_path: Path
) -> None:
    with pytest.raises(ModelError) as caught:
        load_model(onnx_model(tmp_path / "l2.onnx", *nodes, shape=shape))
    assert what in str(caught.value) and caught.value.help


def test_a_large_epsilon_is_refused() -> None:
    class Bounded(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return F.normalize(x, dim=1, eps=0.1)

    with pytest.raises(ModelError, match=r"divides by 0\.1 at least"):
        load_model(Bounded().eval(), example=torch.zeros(1, 6))
