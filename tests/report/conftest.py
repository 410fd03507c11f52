"""Compiled folders that reports are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from examples.digits import data
from tests.support.onnx_models import quantized_model
from tests.support.paths import ROOT, SCHEMES, SHARED_MODELS
from tinytrain.cli import main
from tinytrain.compiler.compile import compile_model

MCUNET = SHARED_MODELS / "mcunet-5fps-int8.onnx"


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, compiled for a board with a clock."""
    folder = tmp_path_factory.mktemp("compiled")
    model = quantized_model(folder / "small.onnx")
    arguments = ["compile", str(model), "-o", str(folder / "small"), "--json"]
    assert main([*arguments, "--target", "stm32f746-disco"]) == 0
    return folder / "small"


@pytest.fixture(scope="session")
def real(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MCUNet-5FPS where `../shared` is there, the network of the digits example otherwise."""
    folder = tmp_path_factory.mktemp("real") / "model"
    if MCUNET.is_file():
        scheme = SCHEMES / "mcunet-5fps-49kb.toml"
        compile_model(
            MCUNET, output=folder, target="stm32f746-disco", classes=10, scheme=str(scheme)
        )
    else:
        digits = ROOT / "examples" / "digits" / "digits.onnx"
        samples = data.as_trained(data.TRAIN).x
        compile_model(digits, output=folder, target="stm32f746-disco", calibration=samples)
    return folder
