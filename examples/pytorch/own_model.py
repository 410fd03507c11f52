"""Your own PyTorch module: train it, save it as an exported program, compile it from Python.

.venv/bin/python -m examples.pytorch.own_model
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

import tinytrain
from examples.digits import data

FOLDER = Path("build") / "own-model"


class OwnNetwork(nn.Module):
    """Any module whose operations are supported; this one has a residual connection."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 12, 3, stride=2, padding=1)
        self.inner = nn.Conv2d(12, 12, 3, padding=1)
        self.head = nn.Linear(12, data.CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.inner(x))
        return self.head(x.mean((2, 3)))


def train(network: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """However you train: this is a plain loop."""
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(300):
        loss = nn.functional.cross_entropy(network(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print(f"loss after training {loss.item():.3f}")


def main() -> None:
    """Train, save what the command line reads, then do the same from Python."""
    torch.manual_seed(0)
    images = data.as_trained(data.TRAIN)
    network = OwnNetwork()
    train(network, torch.from_numpy(images.x), torch.from_numpy(images.y).long())
    network.eval()

    # For the command line: tinytrain compile own.pt2 --calibration samples.npz ...
    FOLDER.mkdir(parents=True, exist_ok=True)
    example = torch.from_numpy(images.x[:1])
    torch.export.save(torch.export.export(network, (example,)), FOLDER / "own.pt2")
    np.savez(FOLDER / "samples.npz", x=images.x, y=images.y)

    # From Python, without a file in between:
    tinytrain.compile_model(
        network,
        example,
        output=FOLDER / "firmware",
        target="mps2-an500",
        scheme="full",
        calibration=FOLDER / "samples.npz",
    )
    print(f"C sources in {FOLDER / 'firmware'}")


if __name__ == "__main__":
    main()
