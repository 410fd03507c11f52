"""A model, the folder that it compiles to, and data: good ones, to make mistakes with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import CLASSES, SHAPE, quantized_model
from tinytrain.cli import main


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A quantized model that compiles."""
    return quantized_model(tmp_path_factory.mktemp("model") / "small.onnx")


@pytest.fixture(scope="session")
def compiled(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that it compiles to; tests copy what they change."""
    folder = tmp_path_factory.mktemp("compiled") / "small"
    assert main(["compile", str(model), "-o", str(folder), "--json"]) == 0
    return folder


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data that fits the model."""
    path = tmp_path_factory.mktemp("data") / "good.npz"
    rng = np.random.default_rng(0)
    x = rng.standard_normal((8, *SHAPE[1:])).astype(np.float32)
    np.savez(path, x=x, y=np.arange(8) % CLASSES)
    return path
