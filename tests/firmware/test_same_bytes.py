"""The same input gives the same bytes, wherever and however often it is compiled."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import float_model, quantized_model
from tests.support.paths import ROOT


def files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("kind", [pytest.param("quantized", marks=pytest.mark.slow), "float"])
def test_same_bytes(kind: str, tmp_path: Path) -> None:
    """Other working directory, output path, user, time zone, locale, hash seed and time of day."""
    calibration = tmp_path / "samples.npz"
    x = np.random.default_rng(0).standard_normal((20, 3, 6, 6)).astype(np.float32)
    np.savez(calibration, x=x, y=np.arange(20) % 4)
    make = quantized_model if kind == "quantized" else float_model
    found = []
    for number, (seed, zone, locale) in enumerate(
        [("0", "UTC", "C"), ("77", "Asia/Tokyo", "C.UTF-8")]
    ):
        place = tmp_path / f"place-{number}" / ("deep/" * number)
        place.mkdir(parents=True)
        (place / "in").mkdir()
        make(place / "in" / "model.onnx")
        model = "in/model.onnx" if number else str(place / "in" / "model.onnx")
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": seed,
            "TZ": zone,
            "LC_ALL": locale,
            "USER": f"user-{number}",
            "OMP_NUM_THREADS": str(1 + number),
        }
        subprocess.run(
            [sys.executable, "-m", "tinytrain.cli", "compile", model, "-o", f"out-{number}",
             "--calibration", str(calibration), "--scheme", "last-1", "--dump-ir", "ir"],
            cwd=place,
            env=environment,
            check=True,
            capture_output=True,
        )  # fmt: skip
        found.append(files(place / f"out-{number}") | files(place / "ir"))
    assert len(found[0]) > 20
    assert found[0].keys() == found[1].keys()
    for name, data in found[0].items():
        assert data == found[1][name], name
        assert str(tmp_path).encode() not in data, name
