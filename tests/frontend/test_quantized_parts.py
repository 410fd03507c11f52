"""Parts of quantized models that no layer takes in: minima, bounds, numbers of other widths."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import helper
from torch import nn

from tests.support import onnx_models
from tests.support.tflite_writer import TfliteWriter
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model
from tinytrain.frontend.difference import NARROWED, STEPS, difference
from tinytrain.frontend.proof import prove
from tinytrain.ir.types import DType
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.quantize.integerize import integerize
from tinytrain.reference.interpret import run_forward

Nodes = list[onnx.NodeProto]


def quantized(path: Path, make: Callable[[Nodes], str]) -> Path:
    """A model between a quantized input x and a quantized output."""
    held: dict[str, np.ndarray] = {
        "s": np.float32(0.05).reshape(()), "t": np.float32(0.02).reshape(()),
        "z": np.int8(4).reshape(()), "n": np.int8(-9).reshape(()), "o": np.int8(0).reshape(()),
        "w": np.random.default_rng(0).integers(-127, 128, (6, 6)).astype(np.int8),
        "u": np.float32(0.003).reshape(()), "low": np.float32(-0.4).reshape(()),
        "high": np.float32(0.7).reshape(()),
    }  # fmt: skip
    nodes: Nodes = [helper.make_node("DequantizeLinear", ["w", "u", "o"], ["k"])]
    integers(nodes, "x", "s", "z")
    result = make(nodes)
    integers(nodes, result, "t", "n")
    nodes.append(helper.make_node("Identity", [f"{result}_d"], ["y"]))
    return onnx_models.save(path, nodes, held, inputs={"x": (1, 6)})


def integers(nodes: Nodes, source: str, scale: str, zero: str) -> None:
    nodes.append(helper.make_node("QuantizeLinear", [source, scale, zero], [f"{source}_q"]))
    nodes.append(
        helper.make_node("DequantizeLinear", [f"{source}_q", scale, zero], [f"{source}_d"])
    )


def minimum(nodes: Nodes) -> str:
    nodes.append(helper.make_node("MatMul", ["x_d", "k"], ["a"], name="dense"))
    integers(nodes, "a", "t", "o")
    nodes.append(helper.make_node("Min", ["a_d", "x_d"], ["b"], name="min"))
    return "b"


def bounded(nodes: Nodes) -> str:
    nodes.append(helper.make_node("MatMul", ["x_d", "k"], ["a"], name="dense"))
    nodes.append(helper.make_node("Clip", ["a", "low", "high"], ["b"], name="clip"))
    return "b"


@pytest.mark.parametrize("make", [minimum, bounded])
def test_a_quantized_model(tmp_path: Path, make: Callable[[Nodes], str]) -> None:
    path = quantized(tmp_path / "m.onnx", make)
    found = import_model(path)
    assert prove(found).reference is not None
    graph = DenseToConv()(integerize(found.graph))
    x = np.random.default_rng(1).integers(-128, 128, (1, 6)).astype(np.int8)
    values = run_forward(graph, {graph.inputs[0].name: x})
    real = (0.05 * (x.astype(np.float64) - 4)) @ (0.003 * dense_weights(path))
    if make is minimum:
        rounded = 0.02 * np.clip(np.rint(real / 0.02), -128, 127)
        wanted = np.minimum(rounded, 0.05 * (x.astype(np.float64) - 4))
    else:
        wanted = np.clip(real, np.float32(-0.4), np.float32(0.7))
        assert all(node.op != "activation" for node in graph.nodes)
    y = values[graph.outputs[0]].astype(int)
    assert np.abs(y - np.clip(np.rint(wanted / 0.02) - 9, -128, 127)).max() <= 1


def test_a_log_softmax_at_the_end(tmp_path: Path) -> None:
    def classifier(nodes: Nodes) -> str:
        nodes.append(helper.make_node("MatMul", ["x_d", "k"], ["a"], name="dense"))
        integers(nodes, "a", "t", "o")
        nodes.append(helper.make_node("LogSoftmax", ["a_d"], ["b"], name="classes", axis=-1))
        return "b"

    found = import_model(quantized(tmp_path / "m.onnx", classifier))
    assert prove(found).reference is not None
    assert integerize(found.graph).source.softmax


def dense_weights(path: Path) -> np.ndarray:
    (held,) = (t for t in onnx.load(path).graph.initializer if t.name == "w")
    return onnx.numpy_helper.to_array(held).astype(np.float64)


def test_a_dense_layer_of_rows_behind_arithmetic_of_shapes(tmp_path: Path) -> None:
    """Keras' Dense on a sequence: the file knows no extent but 1 in between."""
    rng, w = np.random.default_rng(0), TfliteWriter()
    x = w.tensor("x", (1, 5, 4))
    shape = w.constant("rows", np.array([5, 4], np.int32))
    rows = w.operator("RESHAPE", [x, shape], (1, 1), "ReshapeOptions")
    kernel = w.constant("w", rng.normal(size=(3, 4)).astype(np.float32))
    bias = w.constant("b", rng.normal(size=3).astype(np.float32))
    dense = w.operator("FULLY_CONNECTED", [rows, kernel, bias], (1, 3), "FullyConnectedOptions")
    shape = w.constant("sequence", np.array([1, 5, 3], np.int32))
    y = w.operator("RESHAPE", [dense, shape], (1, 5, 3), "ReshapeOptions")
    path = tmp_path / "m.tflite"
    path.write_bytes(w.finish(x, y))
    graph = import_model(path).graph
    assert graph.outputs[0].type.size == 15
    assert any(node.op == "conv2d" for node in graph.nodes)


class Choice(nn.Module):
    """Where x > 0.1 one thing, else another; a sum over the map."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.behind = nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.before(x)
        y = torch.where(y > 0.1, y, 0.3 * torch.exp(y)) + torch.where(y <= -0.5, 1.0, 0.0)
        return self.behind(y).sum((2, 3))


def test_a_choice_by_a_comparison_is_an_expression() -> None:
    found = import_model(Choice().eval(), example=torch.zeros(1, 3, 4, 4))
    assert prove(found).reference is not None
    functions = [n.attrs["function"] for n in found.graph.nodes if n.op == "activation"]
    assert functions == ["expression"]


def test_how_far_numbers_of_other_widths_may_lie_apart() -> None:
    ours = np.zeros((1, 8), DType.S8.numpy)
    for apart, fine in ((STEPS + NARROWED, True), (STEPS + NARROWED + 1, False)):
        theirs = np.zeros((1, 8))
        theirs[0, 0] = apart
        assert (difference(ours, theirs, 0.0, jumps=False) is None) is fine
        assert difference(ours, theirs.astype(np.int8), 0.0, jumps=False) is not None
    real, near = np.full((1, 8), 1.0), np.full((1, 8), 1.02)
    assert difference(real, near, 0.0, jumps=False) is not None
    assert difference(real, near, 0.0, jumps=False, other_rounding=True) is None


@pytest.mark.parametrize(
    ("before", "is_proved", "is_noted"),
    [("Sigmoid", False, True), ("Exp", True, True), ("Floor", True, False)],
)
def test_a_cut_to_integers_proves_nothing_of_numbers_as_small_as_it(
    tmp_path: Path, before: str, is_proved: bool, is_noted: bool
) -> None:
    nodes = [
        helper.make_node(before, ["x"], ["a"]),
        helper.make_node("Cast", ["a"], ["i"], to=onnx.TensorProto.INT32),
        helper.make_node("Cast", ["i"], ["b"], to=onnx.TensorProto.FLOAT),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    held = {"w": np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)}
    found = import_model(onnx_models.save(tmp_path / "m.onnx", nodes, held, inputs={"x": (1, 6)}))
    assert any("cuts numbers" in note for note in found.graph.source.notes) is is_noted
    proof = prove(found)
    assert (proof.reference is not None) is is_proved
    assert is_proved or "the model cuts 'b' to integers" in proof.sentence()


class Cut(nn.Module):
    """Numbers that become integers and reals again behind a function."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function, self.head = function, nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.function(x).to(torch.int32).float())


def test_a_module_that_cuts_to_integers_is_refused_by_name() -> None:
    with pytest.raises(ModelError, match="of an activation to"):
        import_model(Cut(torch.sigmoid).eval(), example=torch.zeros(1, 6))
    for whole in (lambda x: torch.floor(4 * x), lambda x: x > 0.2):
        found = import_model(Cut(whole).eval(), example=torch.zeros(1, 6))
        assert prove(found).reference == "PyTorch"
