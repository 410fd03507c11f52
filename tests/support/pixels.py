"""A model that gives a class for each pixel, and samples for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product

SIZE, CLASSES = 6, 3


def data(folder: Path) -> Path:
    """Noise with a bright and a dark spot; each pixel is a spot's or none's."""
    rng = np.random.default_rng(5)
    y = np.zeros((40, SIZE, SIZE), np.int64)
    for sample in y:
        for label in (1, 2):
            row, column = rng.integers(0, SIZE - 1, 2)
            sample[row : row + 2, column : column + 2] = label
    brightness = np.array([0.0, 1.0, -1.0])[y]
    x = (brightness + rng.normal(scale=0.1, size=y.shape)).astype(np.float32)
    np.savez(folder / "data.npz", x=x[:, None], y=y)
    return folder / "data.npz"


def compiled(folder: Path, end: torch.nn.Module | None = None, **options: object) -> Product:
    torch.manual_seed(3)
    layers = [
        torch.nn.Conv2d(1, 6, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Upsample(scale_factor=2),
        torch.nn.Conv2d(6, CLASSES, 3, padding=1),
    ]
    module = torch.nn.Sequential(*layers, *([] if end is None else [end])).eval()
    calibration = np.load(data(folder))["x"]
    example = torch.zeros(1, 1, SIZE, SIZE)
    return compile_model(
        module, example, output=folder / "model", calibration=calibration, **options
    )
