"""Small PyTorch modules, and the training step of one."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, to_integers
from tinytrain.frontend import load_model
from tinytrain.passes.base import Runner


class Residual(nn.Module):
    """ReLU, ReLU6 that its inputs exceed, a residual, no activation, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first = nn.Conv2d(3, 12, 3, padding=1)
        self.depthwise = nn.Conv2d(12, 12, 3, padding=1, groups=12)
        self.back = nn.Conv2d(12, 12, 1)
        self.head = nn.Linear(12, 4)
        with torch.no_grad():
            self.depthwise.weight *= 12.0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.first(x))
        y = nn.functional.relu6(self.depthwise(x))
        x = x + self.back(y)
        return self.head(nn.functional.avg_pool2d(x, 8).flatten(1))


def compiled_module(module: nn.Module) -> tuple[Compiled, np.ndarray]:
    """Its training step, calibrated with fainter images than those that are returned."""
    images = np.random.default_rng(2).normal(size=(48, 3, 8, 8)).astype(np.float32)
    options, runner = Options(scheme="last-2", ranges="minmax"), Runner()
    model = load_model(module, example=torch.from_numpy(images[:1]))
    forward = to_integers(model, 0.6 * images.transpose(0, 2, 3, 1), options, runner)
    return build_step(forward, options, runner), images


class Blocks(nn.Module):
    """A stem with relu6, a residual branch that starts at zero, a gate, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1)
        self.branch = nn.Conv2d(4, 4, 3, padding=1)
        self.gate = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, 3)
        nn.init.zeros_(self.branch.weight)
        nn.init.zeros_(self.branch.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.relu6(self.stem(x))
        x = torch.relu(x + self.branch(x))
        x = x * torch.sigmoid(self.gate(x))
        return self.head(x.mean((2, 3)))


def samples() -> np.ndarray:
    """Inputs [16, 2, 6, 6] of `Blocks`."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(16, 2, 6, 6)).astype(np.float32)
