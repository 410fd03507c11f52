"""Class weights that make no sense."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import CLASSES
from tests.support.refusals import Refuse

USAGE_ERROR, DATA_ERROR = 2, 4


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("often", "--class-weights must be balanced, numbers such as 1,1,4, or an .npz file"),
        ("1,nan,1", "a class weight must be between 1/64 and 64, got 1,nan,1"),
        ("1,0", "a class weight must be between 1/64 and 64"),
        ("1,2", f"--class-weights has 2 numbers, and the model has {CLASSES} classes"),
    ],
)
def test_numbers(text: str, told: str, model: Path, refuse: Refuse, tmp_path: Path) -> None:
    output = tmp_path / "out"
    assert told in refuse(USAGE_ERROR, "compile", model, "-o", output, "--class-weights", text)


def test_a_regression_has_no_classes(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    given = "--class-weights", "balanced", "--loss", "mean_squared_error"
    told = refuse(USAGE_ERROR, "compile", model, "-o", tmp_path / "out", *given)
    assert "the loss 'mean_squared_error' has no classes to weigh" in told


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x": np.zeros(3)}, "the data file has no array 'y'"),
        ({"y": np.zeros(3)}, "array 'y' holds no integer labels"),
        ({"x": np.zeros(3)}, "help: save it with np.savez(file, y=labels), or give numbers"),
        ({"y": np.array([0.5])}, "help: save the number of each sample's class"),
        ({"y": np.array([0, CLASSES])}, f"label {CLASSES} is out of range"),
    ],
)
def test_files(
    arrays: dict[str, np.ndarray], told: str, model: Path, refuse: Refuse, tmp_path: Path
) -> None:
    np.savez(tmp_path / "labels.npz", **arrays)
    given = "--class-weights", tmp_path / "labels.npz"
    assert told in refuse(DATA_ERROR, "compile", model, "-o", tmp_path / "out", *given)
