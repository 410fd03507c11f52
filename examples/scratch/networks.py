"""Networks that start from random weights, a plain one and a residual one, and digits to learn.

    .venv/bin/python -m examples.scratch.networks

writes to build/scratch both networks for images of 32x32 in colour and for the grey 8x8 digits of
scikit-learn, as ONNX files, and digits.npz. None has batch normalization, which has no meaning at
batch 1 and is folded away when a model is compiled: weights start as He et al., "Delving Deep into
Rectifiers" (ICCV 2015), have it, and each residual branch ends in a convolution of zeros, so that
the network begins as its trunk (Zhang et al., "Fixup Initialization", ICLR 2019).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from examples.digits import data
from examples.training import export_onnx, make_deterministic

FOLDER = Path("build") / "scratch"
IMAGES = (3, 32, 32)
CLASSES = 10
LEARN, JUDGE = slice(0, 1347), slice(1347, 1797)
"""Digits: three quarters to learn from, the others to be judged by."""


class Plain(nn.Module):
    """Four convolutions and a linear head: 47,000 weights, at 32x32 2.6 million MACs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, 16, 3, stride=2, padding=1)
        self.b = nn.Conv2d(16, 32, 3, padding=1)
        self.c = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.d = nn.Conv2d(48, 64, 3, stride=2, padding=1)
        self.head = nn.Linear(64, CLASSES)
        start(self)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in (self.a, self.b, self.c, self.d):
            x = torch.relu(layer(x))
        return self.head(x.mean((2, 3)))


class Block(nn.Module):
    """Two convolutions beside a skip, a relu behind their sum."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.a = nn.Conv2d(channels, channels, 3, padding=1)
        self.b = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.b(torch.relu(self.a(x))))


class Residual(nn.Module):
    """Three stages with a residual block each: 84,000 weights, at 32x32 3.7 million MACs."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(channels, 16, 3, stride=2, padding=1)
        self.first = Block(16)
        self.down = nn.Conv2d(16, 32, 3, stride=2, padding=1)
        self.second = Block(32)
        self.further = nn.Conv2d(32, 48, 3, stride=2, padding=1)
        self.third = Block(48)
        self.head = nn.Linear(48, CLASSES)
        start(self)
        for block in (self.first, self.second, self.third):
            nn.init.zeros_(block.b.weight)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(torch.relu(self.stem(x)))
        x = self.second(torch.relu(self.down(x)))
        x = self.third(torch.relu(self.further(x)))
        return self.head(x.mean((2, 3)))


NETWORKS: dict[str, Callable[[int], nn.Module]] = {"plain": Plain, "residual": Residual}
"""By name; called with the channels of the input."""


def start(network: nn.Module) -> None:
    """He's normal weights in every convolution, biases of zero, PyTorch's own rule in the head."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def fresh(name: str, channels: int, seed: int) -> nn.Module:
    """A network of `NETWORKS` with random weights; the same seed gives the same ones."""
    make_deterministic(seed)
    return NETWORKS[name](channels).eval()


def write_digits(path: Path) -> None:
    """The digits as their camera saw them, in the form of an experiment's data."""
    learn, judge = data.as_trained(LEARN), data.as_trained(JUDGE)
    np.savez(path, x_train=learn.x, y_train=learn.y, x_test=judge.x, y_test=judge.y)


def main() -> None:
    """Write the networks and the digits."""
    parser = argparse.ArgumentParser(description="Write fresh networks as ONNX files.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=FOLDER, help="the folder to write")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        for what, shape in (("images", IMAGES), ("digits", data.SHAPE)):
            path = options.output / f"{name}-{what}-{options.seed}.onnx"
            network = fresh(name, shape[0], options.seed)
            export_onnx(network, shape, path)
            print(f"wrote {path}: {sum(p.numel() for p in network.parameters())} parameters")
    write_digits(options.output / "digits.npz")


if __name__ == "__main__":
    main()
