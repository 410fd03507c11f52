"""A small PyTorch module with each form of clamp, and its training step."""

from __future__ import annotations

import numpy as np
import torch

from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import Compiled, build_step, to_integers
from tinytrain.frontend import load_model
from tinytrain.passes.base import Runner


class Residual(torch.nn.Module):
    """ReLU, ReLU6 that its inputs exceed, a residual, no activation, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = torch.nn.Conv2d(3, 12, 3, padding=1)
        self.depthwise = torch.nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.back = torch.nn.Conv2d(12, 12, 1)
        self.head = torch.nn.Linear(12, 4)
        with torch.no_grad():
            self.depthwise.weight *= 12.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        y = torch.nn.functional.relu6(self.depthwise(x))
        x = x + self.back(y)
        return self.head(torch.nn.functional.avg_pool2d(x, 8).flatten(1))


def compiled_module(module: torch.nn.Module) -> tuple[Compiled, np.ndarray]:
    """Its training step, calibrated with fainter images than those that are returned."""
    images = np.random.default_rng(2).normal(size=(48, 3, 8, 8)).astype(np.float32)
    options, runner = Options(scheme="last-2", ranges="minmax"), Runner()
    model = load_model(module, example_input=torch.from_numpy(images[:1]))
    forward = to_integers(model, 0.6 * images.transpose(0, 2, 3, 1), options, runner)
    return build_step(forward, options, runner), images
