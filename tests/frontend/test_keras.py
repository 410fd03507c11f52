"""Keras models in memory: a stand-in for the calls, and Keras itself where it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from tests.support.paths import ROOT
from tinytrain.errors import ModelError
from tinytrain.frontend import import_model
from tinytrain.frontend.keras import is_keras

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"


class Model:
    """Named and placed as the base of all models of Keras."""

    __module__ = "keras.src.models.model"


class Sequential(Model):
    """Exports as Keras does, a model that lies there already; or fails as Keras does."""

    __module__ = "keras.src.models.sequential"
    name = "my/digits"

    def __init__(self, source: Path | None) -> None:
        self.source = source
        self.input_shape = (None, 1, 8, 8)
        self.called: list[tuple[int, ...]] = []

    def __call__(self, x: np.ndarray) -> None:
        self.called.append(x.shape)

    def export(self, path: str, format: str, verbose: bool) -> None:
        assert format == "onnx"
        assert self.called, "Keras refuses a model that was never called"
        if self.source is None:
            raise ImportError("the ONNX export requires the tf2onnx package")
        shutil.copy(self.source, path)


def test_a_model_is_told_by_where_its_class_comes_from() -> None:
    assert is_keras(Sequential(None))
    assert not is_keras(np.zeros(3)) and not is_keras("model.onnx")


def test_what_keras_exports_is_read(tmp_path: Path) -> None:
    model, wanted = Sequential(DIGITS), import_model(DIGITS)
    imported = import_model(model)
    assert model.called == [(1, 1, 8, 8)]
    assert imported.graph.source.file == "my_digits.onnx"
    assert imported.graph.source.sha256 == wanted.graph.source.sha256


def test_an_example_stands_for_a_shape_that_keras_does_not_know() -> None:
    model = Sequential(DIGITS)
    import_model(model, example=np.zeros((4, 1, 8, 8)))
    assert model.called == [(1, 1, 8, 8)]


def test_every_reason_is_told() -> None:
    with pytest.raises(ModelError, match=r"cannot export(.|\n)*tf2onnx(.|\n)*TensorFlow"):
        import_model(Sequential(None))


def test_a_model_of_keras_trains_as_its_file_does(tmp_path: Path) -> None:
    keras: Any = pytest.importorskip("keras")
    model = keras.Sequential(
        [keras.Input((8, 8, 1)), keras.layers.Conv2D(4, 3, activation="relu"),
         keras.layers.Flatten(), keras.layers.Dense(3)]
    )  # fmt: skip
    x = np.random.default_rng(0).normal(size=(32, 8, 8, 1)).astype(np.float32)
    tinytrain.compile_model(model, output=tmp_path / "own", calibration=x, scheme="full")
    with tinytrain.load(tmp_path / "own") as device:
        wanted = model.predict(x, verbose=0)
        assert np.corrcoef(device.predict(x).ravel(), wanted.ravel())[0, 1] > 0.99
        device.train(x, np.arange(32) % 3)
