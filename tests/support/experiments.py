"""A small experiment: a quantized network of 6x6 images, and images with something to learn."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tests.support.onnx_models import quantized_model

CLASSES = 3
TRAIN, TEST = 24, 12

FILE = """
steps = 30
evaluations = 3
seeds = [4, 5]
rates = [0.01, 0.02]
schedule = "cosine"
target = "host"

[models.small]
path = "small.onnx"

[data.noise]
path = "noise.npz"

[schemes]
last = "last-1"

[rules.shipped]
"""


def write_data(path: Path) -> None:
    """uint8 images [N, 5, 7, 3], each class of another colour, and their labels."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, count in (("train", TRAIN), ("test", TEST)):
        y = rng.integers(0, CLASSES, count)
        y[:CLASSES] = np.arange(CLASSES)
        x = rng.integers(0, 100, (count, 5, 7, 3), dtype=np.uint8)
        x[np.arange(count), :, :, y] += 150
        arrays |= {f"x_{part}": x, f"y_{part}": y}
    np.savez(path, **arrays)


def write_experiment(folder: Path, text: str = FILE) -> Path:
    """The file with its model and data beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    quantized_model(folder / "small.onnx")
    write_data(folder / "noise.npz")
    path = folder / "small.toml"
    path.write_text(text)
    return path


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file by its name."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
