"""Targets come in the shape and layout that the output has in the model file, whatever ours is."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from onnx import helper
from torch import nn

import tinytrain
from tests.support.onnx_models import save
from tests.support.tflite_models import VALID
from tests.support.tflite_writer import TfliteWriter
from tinytrain.errors import DataError

W = np.random.default_rng(1).normal(size=(3, 2)).astype(np.float32)
"""Of a layer that is a matrix for each pixel: 2 channels become 3."""


def onnx_map(folder: Path) -> Any:
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    return save(folder / "m.onnx", [node], {"w": W[:, :, None, None]}, inputs={"x": (1, 2, 4, 5)})


def tflite_map(folder: Path) -> Any:
    w = TfliteWriter()
    x = w.tensor("x", (1, 4, 5, 2))
    held = [x, w.constant("w", W[:, None, None]), w.constant("b", np.zeros(3, np.float32))]
    y = w.operator("CONV_2D", held, (1, 4, 5, 3), "Conv2DOptions", Padding=VALID, StrideW=1,
                   StrideH=1, DilationWFactor=1, DilationHFactor=1)  # fmt: skip
    (folder / "m.tflite").write_bytes(w.finish(x, y))
    return folder / "m.tflite"


def torch_map(folder: Path) -> Any:
    layer = nn.Conv2d(2, 3, 1, bias=False)
    layer.weight.data = torch.tensor(W[:, :, None, None])
    return layer


def torch_signal(folder: Path) -> Any:
    layer = nn.Conv1d(2, 3, 1, bias=False)
    layer.weight.data = torch.tensor(W[:, :, None])
    return layer


KINDS = {
    "onnx": (onnx_map, (2, 4, 5), "nchw,kc->nkhw"),
    "tflite": (tflite_map, (4, 5, 2), "nhwc,kc->nhwk"),
    "torch": (torch_map, (2, 4, 5), "nchw,kc->nkhw"),
    "signal": (torch_signal, (2, 20), "ncw,kc->nkw"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_targets_and_predictions_have_the_files_layout(kind: str, tmp_path: Path) -> None:
    make: Callable[[Path], Any]
    make, shape, rule = KINDS[kind]
    x = np.random.default_rng(0).normal(size=(30, *shape)).astype(np.float32)
    y = np.einsum(rule, x, W)
    model, more = make(tmp_path), {}
    if kind in ("torch", "signal"):
        more = {"example": torch.tensor(x[:1])}
    folder = tmp_path / "own"
    product = tinytrain.compile_model(
        model, output=folder, calibration=x, loss="mean_squared_error", scheme="head", **more
    )

    def error_of(targets: np.ndarray) -> tinytrain.SimulationResult:
        np.savez(tmp_path / "data.npz", x=x, y=targets)
        return tinytrain.simulate(
            folder, data=tmp_path / "data.npz", eval=tmp_path / "data.npz", steps=0
        )

    own = error_of(y)
    assert own.mse_before is not None and own.mse_before < 0.01 * float((y**2).mean())
    assert own.warnings == ()
    # Flat ones are in the device's order, which is told where the file's is another.
    inner = np.moveaxis(y, 1, -1) if kind != "tflite" else y
    flat = error_of(inner.reshape(30, -1))
    assert flat.mse_before == own.mse_before
    sentence = "y of data.npz is flat, and its elements are taken in the order"
    assert [w.startswith(sentence) for w in flat.warnings] == ([] if kind == "tflite" else [True])
    with pytest.raises(DataError, match="as the model's output"):
        error_of(y[..., :-1])
    with tinytrain.load(folder) as device:
        assert device.predict(x).shape == y.shape
        assert np.abs(device.predict(x) - y).max() < 0.1
    name = product.manifest.name
    header = (folder / "src" / f"{name}.h").read_text()
    shape = "1x20x3" if kind == "signal" else "4x5x3"
    assert f"the output, {shape}, channels innermost" in " ".join(header.split())


def test_a_vector_that_is_its_sample_has_the_files_order(tmp_path: Path) -> None:
    layer = nn.Linear(40, 40)
    layer.weight.data, layer.bias.data = torch.eye(40), torch.zeros(40)
    model = nn.Sequential(nn.Flatten(), layer)
    x = np.random.default_rng(0).normal(size=(30, 2, 4, 5)).astype(np.float32)
    folder = tmp_path / "own"
    tinytrain.compile_model(
        model,
        torch.tensor(x[:1]),
        output=folder,
        calibration=x,
        loss="mean_squared_error",
        scheme="head",
    )
    np.savez(tmp_path / "data.npz", x=x)
    result = tinytrain.simulate(
        folder, data=tmp_path / "data.npz", eval=tmp_path / "data.npz", steps=0
    )
    assert result.mse_before is not None and result.mse_before < 0.01


def test_labels_of_a_map_come_in_its_own_layout_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(8, 2, 4, 5)).astype(np.float32), rng.integers(0, 2, (8, 3, 4, 5))
    options = {"calibration": x, "loss": "binary_cross_entropy", "scheme": "head"}
    tinytrain.compile_model(onnx_map(tmp_path), output=tmp_path / "own", **options)
    with tinytrain.load(tmp_path / "own") as device:
        found = device.evaluate(x, y)
        assert found == device.evaluate(x, y.transpose(0, 2, 3, 1).reshape(8, 60))
        for other in (y.transpose(0, 2, 3, 1), y.reshape(8, 3, 20)):
            with pytest.raises(DataError, match="60 labels") as caught:
                device.evaluate(x, other)
            assert caught.value.help == "give [8, 3, 4, 5]"
