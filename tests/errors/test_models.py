"""Model files that cannot be compiled: each one sentence, exit code 3, and nothing written."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.support.onnx_models import (
    conv,
    conv_weights,
    float_model,
    quantized_model,
    save,
)
from tests.support.refusals import Refuse

MODEL_ERROR = 3
USAGE_ERROR = 2


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
    sizes = {"s": np.array([1] + [10**4] * 3), "one": np.ones((1, 1, 1, 1), np.float32)}
    return lambda path: save(path, nodes, sizes, inputs={"x": (1, 1, 1, 1)})


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


RNN = {"x": (1, 1, 4)}
CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "the file holds no ONNX graph"),
    "text": (lambda path: path.write_text("Dear reader,\n" * 9), "the file is no ONNX model"),
    "hardmax": (model([node("Hardmax", "x")]), "operation 'Hardmax' is not supported"),
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
    "an input for nothing": (
        model(inputs={"x": (1, 3, 6, 6), "u": (1, 4, 4, 4)}),
        "the input 'u' is not needed for the output",
    ),
    "nan": (model(constants=changed(np.nan)), "the weights 'w' hold NaN or infinity"),
    "infinity": (model(constants=changed(-np.inf)), "the weights 'w' hold NaN or infinity"),
    "bf16": (model(constants={"w": tensor_of(TensorProto.BFLOAT16)}), "has the type bfloat16"),
    "int4": (model(constants={"w": tensor_of(TensorProto.INT4)}), "'w' has the type int4"),
    "constant of 10^12": (bomb("ConstantOfShape", "s"), "'ConstantOfShape' makes a constant that"),
    "expanded to 10^12": (bomb("Expand", "one", "s"), ""),
    "tiled to 10^12": (bomb("Tile", "one", "s"), ""),
    "reshaped to 10^12": (
        only(node("Reshape", "x", "s"), s=np.array([10**4] * 3)), ""),
    "input of 10^12": (
        model([node("Relu", "x")], inputs={"x": (1, 10**4, 10**4, 10**4)}), ""),
    "weights of 10^12": (
        model(constants=declared(10**6, 10**6, 1, 1)), "the model is not valid ONNX"),
    "dims that overflow": (model(constants=declared(2**32, 2**32, 2**32, 2**32)), ""),
    "negative dims": (model(constants=declared(-4, -3, 3, 3)), ""),
    "padded to 10^9": (
        only(node("Pad", "x", "p"), p=np.array([0, 0, 0, 10**9, 0, 0, 0, 10**9])), ""),
    "a convolution padded to 10^9": (model([conv(pads=[2**30] * 4)]), ""),
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
    "zero scale": (damaged(set_tensor("s", np.float32(0))), "a scale is 0"),
    "negative scale": (damaged(set_tensor("s", np.float32(-0.1))), "a scale is -0.1"),
    "nan scale": (damaged(set_tensor("s", np.float32(np.nan))), "a scale is nan"),
    "huge scale": (damaged(set_tensor("s", np.float32(3e38))), ""),
    "denormal scale": (damaged(set_tensor("s", np.float32(1e-45))), ""),
    "zero scale of weights": (
        damaged(set_tensor("ws", np.float32(0))), "a scale of 'conv_0_w_s8' is 0"),
    "negative scale of weights": (
        damaged(set_tensor("ws", np.float32(-1))), "a scale of 'conv_0_w_s8' is -1"),
    "huge scale of weights": (damaged(set_tensor("ws", np.float32(3e38))), ""),
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
    assert "help: " in told


def test_map_that_kernels_cannot_count(refuse: Refuse, tmp_path: Path) -> None:
    path = quantized_model(tmp_path / "model.onnx", shape=(1, 3, 1, 70_000))
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith("'conv2d' has a map of 1x1x70000x3; kernels count to 65535")


def test_float_model_without_calibration(refuse: Refuse, tmp_path: Path) -> None:
    path = float_model(tmp_path / "model.onnx")
    told = refuse(USAGE_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith("the model is not quantized, and no calibration samples are given")


@pytest.mark.parametrize("kind", ["directory", "missing", "pipe", "other"])
def test_what_is_no_model_file(kind: str, refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    sentence = "there is no such model file"
    if kind == "directory":
        path.mkdir()
        sentence = "the model is a folder, not a file"
    elif kind == "pipe":
        os.mkfifo(path)
        sentence = "the model is no regular file"
    elif kind == "other":
        path = tmp_path / "model.h5"
        path.write_bytes(b"x")
        sentence = "a file that ends in '.h5' is of no known kind"
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith(sentence)


@pytest.mark.parametrize("part", [0.01, 0.3, 0.7, 0.99])
def test_cut_off(part: float, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    data = model.read_bytes()
    path.write_bytes(data[: int(part * len(data))])
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith(("the file is no ONNX model", "the file holds no ONNX graph"))


def test_enormous_file(refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    with path.open("wb") as file:
        file.truncate(2**40)
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith("the file has 1099511627776 bytes, more than any microcontroller holds")


@pytest.mark.parametrize("location", ["../w.bin", "/etc/passwd", "link.bin"])
def test_external_data_outside_of_the_folder(location: str, refuse: Refuse, tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(conv_weights().tobytes())
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link.bin").symlink_to(tmp_path / "w.bin")
    held = TensorProto(name="w", data_type=1, dims=[4, 3, 3, 3], data_location=1)
    entry = held.external_data.add()
    entry.key, entry.value = "location", location
    path = save(tmp_path / "in" / "model.onnx", [conv()], {"w": held})
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith(f"the model asks for data outside of its folder: '{location}'")


@pytest.mark.parametrize("data", [b"", b"TFL3", b"\x1c\0\0\0TFL3" + b"\xff" * 400, b"\0" * 999])
def test_tflite_garbage(data: bytes, refuse: Refuse, tmp_path: Path) -> None:
    path = tmp_path / "model.tflite"
    path.write_bytes(data)
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert told.startswith(("the file is no TFLite model", "the TFLite file is damaged"))


def test_names_cannot_steer_the_terminal(refuse: Refuse, tmp_path: Path) -> None:
    bad = helper.make_node("Hardmax", ["x"], ["y"], name="a\nerror: \x1b[2J[bold]")
    path = save(tmp_path / "model.onnx", [bad], {})
    told = refuse(MODEL_ERROR, "compile", path, "-o", tmp_path / "out")
    assert r"node 'a\nerror: \x1b[2J[bold]'" in told
