"""A model with one output that says yes or no, and samples for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product

COUNT = 60


def data(folder: Path) -> Path:
    """Vectors whose label is whether the first element is the larger of two."""
    x = np.random.default_rng(5).normal(size=(COUNT, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=(x[:, 0] > x[:, 1])[:, None])
    return folder / "data.npz"


def compiled(folder: Path, *, ends_in_sigmoid: bool, **options: object) -> Product:
    torch.manual_seed(3)
    layers = [torch.nn.Linear(6, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1)]
    module = torch.nn.Sequential(*layers, *([torch.nn.Sigmoid()] if ends_in_sigmoid else []))
    calibration = np.load(data(folder))["x"]
    example = torch.zeros(1, 6)
    return compile_model(
        module.eval(), example, output=folder / "model", calibration=calibration, **options
    )
