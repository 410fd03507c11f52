"""Calibration files that do not fit: each one sentence, exit code 4, and nothing written."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import SHAPE, float_model
from tests.support.refusals import Refuse

DATA_ERROR = 4
X = np.random.default_rng(0).standard_normal((8, *SHAPE[1:])).astype(np.float32)


class Trap:
    """An object whose unpickling leaves a folder behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


def arrays(**held: np.ndarray) -> Callable[[Path], object]:
    return lambda path: np.savez(path, **held)


def with_value(value: float) -> np.ndarray:
    x = X.copy()
    x[5, 0, 1, 1] = value
    return x


def pickled(path: Path) -> None:
    np.savez(path, x=np.array([Trap(path.parent / "sprung")], dtype=object))


def bomb(path: Path) -> None:
    """8 TiB of zeros that nobody packed: the header alone asks for them."""
    header = b"\x93NUMPY\x01\x00"
    text = b"{'descr': '<f8', 'fortran_order': False, 'shape': (1099511627776,), }"
    text = text.ljust(117) + b"\n"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", header + len(text).to_bytes(2, "little") + text)


CASES: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "the data file is not an .npz file"),
    "text": (lambda path: path.write_text("x" * 99), "the data file is not an .npz file"),
    "folder": (lambda path: path.mkdir(), "the data file is not a regular file"),
    "missing": (lambda path: None, "the data file does not exist"),
    "cut off": (
        lambda path: (np.savez(path, x=X), path.write_bytes(path.read_bytes()[:900])),
        "the data file is not an .npz file",
    ),
    "no x": (arrays(samples=X), "the calibration file has no array 'x'"),
    "no samples": (arrays(x=X[:0]), "the data file holds no samples"),
    "another shape": (
        arrays(x=X[:, :, :5]),
        "x has shape [8, 3, 5, 6], but the model takes [N, 3, 6, 6] or [N, 6, 6, 3]",
    ),
    "one number": (arrays(x=np.float32(3)), "x is a single number"),
    "integers": (arrays(x=X.astype(np.int64)), "x has dtype int64"),
    "text inside": (arrays(x=np.array(["a", "b"])), "x has dtype <U1"),
    "nan": (arrays(x=with_value(np.nan)), "x holds a NaN or an infinite value, first in sample 5"),
    "infinite": (arrays(x=with_value(np.inf)), "x holds a NaN or an infinite value"),
    "too large for float32": (
        arrays(x=X.astype(np.float64) * 1e300),
        "x holds a NaN or an infinite value",
    ),
    "enormous": (arrays(x=X * 1e30), "the calibration samples make the input NaN, infinite or"),
    "images": (
        arrays(x=np.zeros((8, 6, 6, 3), np.uint8)),
        "x holds uint8 images, but the model was compiled without a preprocessing",
    ),
    "pickle": (pickled, "array 'x' holds Python objects, which are never loaded"),
    "bomb": (bomb, "array 'x' of the data file is too large for this machine's memory"),
}


@pytest.mark.parametrize("name", sorted(CASES))
def test_refused(name: str, refuse: Refuse, tmp_path: Path) -> None:
    write, sentence = CASES[name]
    model, data = float_model(tmp_path / "model.onnx"), tmp_path / "data.npz"
    write(data)
    told = refuse(DATA_ERROR, "compile", model, "-o", tmp_path / "out", "--calibration", data)
    assert told.startswith(sentence)
    if name != "enormous":
        assert f"  at: {data}" in told
    assert not (tmp_path / "sprung").exists()
