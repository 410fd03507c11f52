"""Model files that cannot be compiled: each one sentence, exit code 3, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.errors.conftest import Refuse
from tests.errors.models import (
    conv,
    conv_weights,
    float_model,
    quantized_model,
    save,
)

MODEL_ERROR = 3


def node(op: str, *inputs: str, **attributes: object) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), ["y"], name="culprit", **attributes)


def only(*nodes: onnx.NodeProto, **constants: np.ndarray) -> Callable[[Path], object]:
    """A model of these nodes; without constants it gets the weights of `my_conv`."""
    return lambda path: save(path, nodes, constants or {"w": conv_weights()})


def model(nodes: list[onnx.NodeProto] | None = None, **more: object) -> Callable[[Path], object]:
    constants = more.pop("constants", {"w": conv_weights()})
    return lambda path: save(path, nodes or [conv()], constants, **more)


def tensor_of(kind: int) -> onnx.TensorProto:
    """Weights of any type, all bytes zero."""
    size = {TensorProto.INT4: 0.5, TensorProto.DOUBLE: 8}.get(kind, 2)
    raw = bytes(int(4 * 3 * 3 * 3 * size))
    return TensorProto(name="w", data_type=kind, dims=[4, 3, 3, 3], raw_data=raw)


def changed(value: float) -> dict[str, np.ndarray]:
    data = conv_weights()
    data[1, 2, 0, 0] = value
    return {"w": data}


def lstm() -> list[onnx.NodeProto]:
    return [helper.make_node("LSTM", ["x", "w", "r"], ["", "y"], name="culprit", hidden_size=2)]


def bomb(op: str, *inputs: str) -> Callable[[Path], object]:
    """A node that declares 10^12 elements, added to the input."""
    nodes = [
        helper.make_node(op, list(inputs), ["b"], name="culprit"),
        helper.make_node("Add", ["x", "b"], ["y"], name="sum"),
    ]
    sizes = {"s": np.array([10**4] * 3), "one": np.ones((1, 1, 1), np.float32)}
    return lambda path: save(path, nodes, sizes)


def declared(*dims: int) -> dict[str, onnx.TensorProto]:
    return {"w": TensorProto(name="w", data_type=1, dims=list(dims), raw_data=b"\0" * 64)}


def damaged(
    change: Callable[[onnx.ModelProto], object], make: Callable[[Path], Path] = quantized_model
) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        found = onnx.load(make(path))
        change(found)
        path.write_bytes(found.SerializeToString())

    return write


def tensor(found: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(held for held in found.graph.initializer if held.name == name)


def set_tensor(name: str, data: np.ndarray) -> Callable[[onnx.ModelProto], object]:
    return lambda found: tensor(found, name).CopyFrom(numpy_helper.from_array(data, name))


RNN = {"x": (3, 1, 4)}
CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "the file holds no ONNX graph"),
    "text": (lambda path: path.write_text("Dear reader,\n" * 9), "the file is no ONNX model"),
    "erf": (model([node("Erf", "x")]), "operation 'Erf' is not supported"),
    "lstm": (
        model(lstm(), inputs=RNN, constants={
            "w": np.zeros((1, 8, 4), np.float32), "r": np.zeros((1, 8, 2), np.float32)}),
        "operation 'LSTM' is not supported",
    ),
    "custom domain": (
        model([node("Own", "x", domain="me")]),
        "operation 'me.Own' is not supported",
    ),
    "dynamic shape": (model(inputs={"x": (1, 3, "height", 6)}), "dimension 2 of the input 'x' is"),
    "no size at all": (model(inputs={"x": (1, 3, 0, 6)}), "dimension 2 of the input 'x' is"),
    "batch of four": (model(inputs={"x": (4, 3, 6, 6)}), "a batch of 4"),
    "two inputs": (
        model([conv(result="a"), helper.make_node("Add", ["a", "u"], ["y"])],
              inputs={"x": (1, 3, 6, 6), "u": (1, 4, 4, 4)}),
        "the model has 2 inputs",
    ),
    "two outputs": (
        model([conv(), helper.make_node("Relu", ["y"], ["z"])], outputs=("y", "z")),
        "the model has 2 outputs",
    ),
    "nan": (model(constants=changed(np.nan)), "the weights 'w' hold NaN or infinity"),
    "infinity": (model(constants=changed(-np.inf)), "the weights 'w' hold NaN or infinity"),
    "opset 9": (model(opset=9), "the model uses opset 9; 13 is the oldest that can be read"),
    "f64": (model(constants={"w": tensor_of(TensorProto.DOUBLE)}), ""),
    "f16": (model(constants={"w": tensor_of(TensorProto.FLOAT16)}), ""),
    "bf16": (model(constants={"w": tensor_of(TensorProto.BFLOAT16)}), ""),
    "int4": (model(constants={"w": tensor_of(TensorProto.INT4)}), ""),
    "f16 input": (
        model([conv()], input_type=TensorProto.FLOAT16,
              constants={"w": conv_weights().astype(np.float16)}),
        "",
    ),
    "f64 all over": (
        model([conv()], input_type=TensorProto.DOUBLE,
              constants={"w": conv_weights().astype(np.float64)}),
        "",
    ),
    "constant of 10^12": (bomb("ConstantOfShape", "s"), "'ConstantOfShape' is not supported"),
    "expanded to 10^12": (bomb("Expand", "one", "s"), ""),
    "tiled to 10^12": (bomb("Tile", "one", "s"), ""),
    "reshaped to 10^12": (
        only(node("Reshape", "x", "s"), s=np.array([10**4] * 3)), ""),
    "input of 10^12": (
        model([node("Relu", "x")], inputs={"x": (1, 10**4, 10**4, 10**4)}), ""),
    "weights of 10^12": (model(constants=declared(10**6, 10**6, 1, 1)), "elements, more than any"),
    "dims that overflow": (model(constants=declared(2**32, 2**32, 2**32, 2**32)), ""),
    "negative dims": (model(constants=declared(-4, -3, 3, 3)), ""),
    "padded to 10^9": (
        only(node("Pad", "x", "p"), p=np.array([0, 0, 0, 10**9, 0, 0, 0, 10**9])), ""),
    "a convolution padded to 10^9": (model([conv(pads=[2**30] * 4)]), ""),
    "a row of 10^5": (
        model([conv()], inputs={"x": (1, 3, 3, 100_000)}), ""),
    "cycle": (
        model([helper.make_node("Add", ["x", "b"], ["a"]),
               helper.make_node("Relu", ["a"], ["b"]), conv("b")]),
        "the model is not valid ONNX",
    ),
    "two nodes of one output": (
        model([conv(), helper.make_node("Relu", ["x"], ["y"])]), "the model is not valid ONNX"),
    "two weights of one name": (
        damaged(lambda m: m.graph.initializer.append(m.graph.initializer[-1])), ""),
    "no such input": (model([conv("nothing")]), "the model is not valid ONNX"),
    "no layer": (model([node("Relu", "x")]), ""),
    "zero scale": (damaged(set_tensor("s", np.float32(0))), "a scale is 0"),
    "negative scale": (damaged(set_tensor("s", np.float32(-0.1))), "a scale is -0.1"),
    "nan scale": (damaged(set_tensor("s", np.float32(np.nan))), "hold NaN or infinity"),
    "huge scale": (damaged(set_tensor("s", np.float32(3e38))), ""),
    "denormal scale": (damaged(set_tensor("s", np.float32(1e-45))), ""),
    "zero scale of weights": (damaged(set_tensor("ws", np.float32(0))), "a scale is 0"),
    "negative scale of weights": (damaged(set_tensor("ws", np.float32(-1))), "a scale is -1"),
    "huge scale of weights": (damaged(set_tensor("ws", np.float32(3e38))), ""),
    "zero point of another type": (damaged(set_tensor("z", np.uint8(3))), ""),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_onnx(name: str, refuse: Refuse, tmp_path: Path) -> None:
    write, sentence = CASES[name]
    path = tmp_path / "model.onnx"
    write(path)
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    print(told)
    assert told.startswith(sentence) or sentence in told.split("\n")[0]
    assert "model.onnx" in told
    assert "way out: " in told
