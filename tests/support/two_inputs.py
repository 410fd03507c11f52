"""A network with two inputs: a window of a signal, and features of another range."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import to_integers
from tinytrain.data.packing import packed
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner

EXAMPLE = (torch.zeros(1, 6, 30), torch.zeros(1, 8))
CLASSES = 4


class TwoBranches(nn.Module):
    """Convolutions over the window and a dense layer on the features, joined by two more."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Conv1d(6, 8, 5, stride=2), nn.Conv1d(8, 12, 5, stride=2)
        self.dense, self.joint = nn.Linear(8, 16), nn.Linear(12 + 16, 12)
        self.head = nn.Linear(12, CLASSES)

    def forward(self, window: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """Logits."""
        signal = torch.relu(self.second(torch.relu(self.first(window)))).mean(2)
        both = torch.cat([signal, torch.relu(self.dense(features))], 1)
        return self.head(torch.relu(self.joint(both)))  # type: ignore[no-any-return]


def samples(count: int = 120) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Windows [N, 6, 30], features [N, 8] up to a hundred times as large, and labels: one bit of a
    label shows in the window, the other in the features."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, CLASSES, count)
    window = rng.normal(size=(count, 6, 30)).astype(np.float32) * np.float32(0.5)
    window[:, 0] += (y % 2)[:, None]
    features = (rng.normal(size=(count, 8)) * 20).astype(np.float32)
    features[:, 3] += (y // 2) * 100
    return window, features, y


def two_inputs() -> Graph:
    """Its s8 forward graph."""
    window, features, _ = samples()
    ours = packed([window.transpose(0, 2, 1), features])
    model = load_model(TwoBranches().eval(), example=EXAMPLE)
    return to_integers(model, ours, Options(), Runner())
