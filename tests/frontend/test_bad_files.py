"""Whatever is wrong with a model file: one sentence, the place, what helps; nothing runs."""

from __future__ import annotations

import io
import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from tests.support.imported import shared_model
from tinytrain.errors import ModelError, TinytrainError, UsageError
from tinytrain.frontend import load_model

KERNEL = np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)
CONV = helper.make_node("Conv", ["x", "w"], ["y"], name="my_conv")


def write_onnx(
    path: Path,
    nodes: list[onnx.NodeProto],
    constants: dict[str, np.ndarray],
    *,
    shape: tuple[int | str, ...] = (1, 3, 8, 8),
    opset: int = 17,
    outputs: tuple[str, ...] = ("y",),
) -> onnx.ModelProto:
    """Writes a model with the input x."""
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(data, name) for name, data in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return model


def refused(path: Path) -> ModelError:
    """The error that loading the file raises."""
    with pytest.raises(ModelError) as caught:
        load_model(path)
    error = caught.value
    assert error.where is not None and error.where.file == path.name
    assert "\n" not in error.what
    return error


def test_the_plain_model_loads(tmp_path: Path) -> None:
    path = tmp_path / "ok.onnx"
    write_onnx(path, [CONV], {"w": KERNEL})
    assert load_model(path).inputs[0].type.shape == (1, 8, 8, 3)


def test_a_symbolic_batch_becomes_one(tmp_path: Path) -> None:
    path = tmp_path / "batch.onnx"
    write_onnx(path, [CONV], {"w": KERNEL}, shape=("N", 3, 8, 8))
    assert load_model(path).source.shape == (1, 3, 8, 8)


def case(
    nodes: list[onnx.NodeProto] | None = None,
    constants: dict[str, np.ndarray] | None = None,
    **more: object,
) -> Callable[[Path], object]:
    def write(path: Path) -> object:
        held = {"w": KERNEL} if constants is None else constants
        return write_onnx(path, nodes or [CONV], held, **more)  # type: ignore[arg-type]

    return write


def node(op: str, *inputs: str, **attrs: object) -> onnx.NodeProto:
    return helper.make_node(op, list(inputs), ["y"], name="culprit", **attrs)


NAN = KERNEL.copy()
NAN[1, 2, 0, 0] = np.nan
PADDING = {"p": np.array([0, 0, 1, 1, 0, 0, 1, 1])}

CASES: dict[str, tuple[Callable[[Path], object], str, str | None]] = {
    "dynamic height": (case(shape=(1, 3, "H", 8)), r"dimension 2 .* dynamic \('H'\)", "x"),
    "batch of four": (case(shape=(4, 3, 8, 8)), "a batch of 4", "x"),
    "nan": (case(constants={"w": NAN}), "'w' hold NaN", "my_conv"),
    "unknown operation": (case([node("Nonsense", "x")]), "'Nonsense' is not supp", "culprit"),
    "custom domain": (case([node("Own", "x", domain="me")]), "'me.Own' is not supp", "culprit"),
    "transposed conv": (
        case([node("ConvTranspose", "x", "w")], {"w": KERNEL.transpose(1, 0, 2, 3).copy()}),
        "'ConvTranspose' is not supported",
        "culprit",
    ),
    "hardmax": (case([node("Hardmax", "x")]), "'Hardmax' is not supported", "culprit"),
    "reflected padding": (
        case([node("Pad", "x", "p", mode="reflect")], PADDING),
        "of the kind 'reflect'",
        "culprit",
    ),
    "no computation": (case([node("Identity", "x")]), "does not depend on its input", None),
    "kernel of other channels": (
        case(constants={"w": np.zeros((4, 5, 3, 3), np.float32)}),
        "reads 3 channels",
        "my_conv",
    ),
    "cyclic": (
        case([helper.make_node("Add", ["x", "y"], ["y"], name="culprit")]),
        "not valid ONNX",
        None,
    ),
    "huge constant": (
        case(
            [
                helper.make_node("ConstantOfShape", ["s"], ["b"], name="culprit"),
                node("Add", "x", "b"),
            ],
            {"s": np.array([30000, 3, 8, 8])},
        ),
        r"a constant of \[30000",
        "culprit",
    ),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_onnx(name: str, tmp_path: Path) -> None:
    write, what, culprit = CASES[name]
    path = tmp_path / "model.onnx"
    write(path)
    error = refused(path)
    import re

    assert re.search(what, error.what), error.what
    if culprit is not None:
        assert error.where is not None and error.where.node == culprit
    assert error.help or name == "no computation"


def test_an_old_opset_is_converted_and_said(tmp_path: Path) -> None:
    case(opset=11)(tmp_path / "model.onnx")
    graph = load_model(tmp_path / "model.onnx")
    assert graph.source.notes == (
        "the model was converted from opset 11 to 13 by onnx's converter",
    )


def test_of_two_outputs_one_is_chosen_and_said(tmp_path: Path) -> None:
    case([CONV, helper.make_node("Relu", ["y"], ["z"])], outputs=("y", "z"))(tmp_path / "m.onnx")
    (note,) = load_model(tmp_path / "m.onnx").source.notes
    assert "the one named 'y' is compiled; --model-output chooses another" in note
    chosen = load_model(tmp_path / "m.onnx", model_output="z")
    assert [node.op for node in chosen.nodes] == ["conv2d", "activation"]
    with pytest.raises(UsageError, match="no output 'w'") as caught:
        load_model(tmp_path / "m.onnx", model_output="w")
    assert caught.value.help == "--model-output takes y, z"


@pytest.mark.parametrize("size", [0, 10, 1000, 300_000, 790_000])
def test_truncated_onnx(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.onnx"
    path.write_bytes(shared_model("mcunet-5fps-int8.onnx").read_bytes()[:size])
    refused(path)


@pytest.mark.parametrize("size", [0, 10, 1000, 30_000, 53_000])
def test_truncated_tflite(size: int, tmp_path: Path) -> None:
    path = tmp_path / "cut.tflite"
    path.write_bytes(shared_model("kws_ref_int8.tflite").read_bytes()[:size])
    refused(path)


@pytest.mark.parametrize("suffix", [".onnx", ".tflite", ".pt2", ".h5", ""])
def test_not_a_model(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"letter{suffix}"
    path.write_bytes(b"Dear reader, this is no model at all. " * 50)
    refused(path)


def test_missing_file(tmp_path: Path) -> None:
    assert "no such model file" in refused(tmp_path / "nothing.onnx").what


# --- data outside of the model's folder -----------------------------------------------------------


def write_external(path: Path, location: str) -> None:
    model = write_onnx(path, [CONV], {"w": KERNEL})
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    entry = tensor.external_data.add()
    entry.key, entry.value = "location", location
    path.write_bytes(model.SerializeToString())


def test_external_data_beside_the_model(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(KERNEL.tobytes())
    write_external(tmp_path / "m.onnx", "w.bin")
    graph = load_model(tmp_path / "m.onnx")
    (data,) = [d for d in graph.constants.values() if d.ndim == 4]
    np.testing.assert_array_equal(data, KERNEL.transpose(0, 2, 3, 1))


def test_external_data_outside_of_the_folder(tmp_path: Path) -> None:
    secret = tmp_path / "w.bin"
    secret.write_bytes(KERNEL.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    os.symlink(secret, folder / "link.bin")
    for location in ("../w.bin", str(secret), "link.bin", "a/../../w.bin"):
        write_external(folder / "m.onnx", location)
        assert "outside of its folder" in refused(folder / "m.onnx").what


def test_external_data_that_is_missing_or_short(tmp_path: Path) -> None:
    write_external(tmp_path / "m.onnx", "w.bin")
    assert "cannot be read" in refused(tmp_path / "m.onnx").what
    (tmp_path / "w.bin").write_bytes(KERNEL.tobytes()[:-4])
    refused(tmp_path / "m.onnx")


# --- pickles --------------------------------------------------------------------------------------


class Trap:
    """An object whose unpickling leaves a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".pkl"])
def test_a_pickle_is_never_loaded(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"model{suffix}"
    path.write_bytes(pickle.dumps(Trap(tmp_path / "sprung")))
    error = refused(path)
    assert "torch.export.save" in str(error.help)
    assert not (tmp_path / "sprung").exists()


def tampered(folder: Path, change: Callable[[str, bytes], bytes]) -> Path:
    """An exported program with some of its entries changed."""
    good, bad = folder / "good.pt2", folder / "bad.pt2"
    net = torch.nn.Conv2d(1, 2, 3).eval()
    torch.export.save(torch.export.export(net, (torch.zeros(1, 1, 5, 5),)), good)
    with zipfile.ZipFile(good) as source, zipfile.ZipFile(bad, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, change(entry.filename, source.read(entry)))
    return bad


def trap_bytes(folder: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Trap(folder / "sprung"), buffer)
    return buffer.getvalue()


def test_pt2_with_a_trap_among_its_example_inputs(tmp_path: Path) -> None:
    trap = trap_bytes(tmp_path)
    path = tampered(tmp_path, lambda name, data: trap if "sample_inputs" in name else data)
    assert "only a pickle can read" in refused(path).what
    assert not (tmp_path / "sprung").exists()


def test_pt2_with_weights_as_a_pickle(tmp_path: Path) -> None:
    trap = trap_bytes(tmp_path)

    def change(name: str, data: bytes) -> bytes:
        if "/weights/" not in name:
            return data
        if not name.endswith(".json"):
            return trap
        config = json.loads(data)
        for entry in config["config"].values():
            entry["use_pickle"] = True
        return json.dumps(config).encode()

    assert "as a pickle" in refused(tampered(tmp_path, change)).what
    assert not (tmp_path / "sprung").exists()


def test_pt2_that_calls_something_else(tmp_path: Path) -> None:
    path = tampered(
        tmp_path,
        lambda name, data: data.replace(b"torch.ops.aten.conv2d.default", b"torch.hub.load"),
    )
    assert "'torch.hub.load', which is no operation" in refused(path).what


def test_pt2_that_computes_a_shape(tmp_path: Path) -> None:
    def change(name: str, data: bytes) -> bytes:
        if "models/" not in name or not name.endswith(".json"):
            return data
        program = json.loads(data)
        program["range_constraints"] = {"s0": {"expr_str": "__import__('os').system('true')"}}
        return json.dumps(program).encode()

    assert "computes a shape" in refused(tampered(tmp_path, change)).what


def test_pt2_cut_off(tmp_path: Path) -> None:
    path = tampered(tmp_path, lambda name, data: data)
    assert load_model(path).source.shape == (1, 1, 5, 5)
    for part in (0.1, 0.5, 0.95):
        cut = tmp_path / "cut.pt2"
        cut.write_bytes(path.read_bytes()[: int(part * path.stat().st_size)])
        refused(cut)


# --- noise ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["kws_ref_int8.tflite", "mbv2-w0.35-int8.onnx"])
def test_flipped_bytes_load_or_fail_in_one_sentence(name: str, tmp_path: Path) -> None:
    good = shared_model(name).read_bytes()
    path = tmp_path / f"noise{Path(name).suffix}"
    rng = np.random.default_rng(5)
    for _ in range(12):
        data = bytearray(good)
        # Structure stands at both ends; weights in between take any value.
        for place in rng.integers(0, 4000, 3):
            data[-place - 1 if rng.random() < 0.5 else place] = rng.integers(256)
        path.write_bytes(bytes(data))
        try:
            load_model(path)
        except TinytrainError as error:
            assert "\n" not in error.what
