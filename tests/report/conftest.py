"""Compiled folders that reports are made of."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from examples.digits import data
from tests.support.onnx_models import quantized_model
from tests.support.paths import ROOT, SCHEMES, SHARED_MODELS
from tinytrain.cli import main
from tinytrain.compiler.compile import compile_model

MCUNET = SHARED_MODELS / "mcunet-5fps-int8.onnx"

WAYS = [
    {
        "way": "streaming",
        "detail": "conv_0 to conv_10 in 34 turns of 4 rows",
        "saved_bytes": 118_000,
        "instructions": 1_234_567,
    },
    {"way": "takeover", "detail": "of 12 layers", "saved_bytes": 8_192, "instructions": 0},
]
"""As the manifest lists what each way of saving memory brought."""

Change = Callable[[dict[str, Any]], object]


def change_manifest(folder: Path, change: Change) -> None:
    """Rewrites a manifest as `change` leaves it."""
    file = folder / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))
    change(manifest)
    file.write_text(json.dumps(manifest), encoding="utf-8")


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
