"""Networks that start from random weights, for images of 32x32: a plain one and a residual one.

    .venv/bin/python -m examples.scratch.networks --seed 0

writes build/scratch/plain-0.onnx and residual-0.onnx. Neither has batch normalization, which has no
meaning at batch 1 and is folded away when a model is compiled: weights start as He et al.,
"Delving Deep into Rectifiers" (ICCV 2015), have it, and each residual branch ends in a convolution
of zeros, so that the network begins as its trunk (Zhang et al., "Fixup Initialization", ICLR 2019).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from examples.training import export_onnx, make_deterministic

FOLDER = Path("build") / "scratch"
SHAPE = (3, 32, 32)
CLASSES = 10


class Plain(nn.Module):
    """Four convolutions and a linear head: 47,000 weights, 2.6 million MACs."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 16, 3, stride=2, padding=1)
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
    """Three stages with a residual block each: 84,000 weights, 3.7 million MACs."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2, padding=1)
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


NETWORKS: dict[str, type[nn.Module]] = {"plain": Plain, "residual": Residual}


def start(network: nn.Module) -> None:
    """He's normal weights in every convolution, biases of zero, PyTorch's own rule in the head."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def fresh(name: str, seed: int) -> nn.Module:
    """A network of `NETWORKS` with random weights; the same seed gives the same ones."""
    make_deterministic(seed)
    return NETWORKS[name]().eval()


def main() -> None:
    """Write both networks as ONNX files."""
    parser = argparse.ArgumentParser(description="Write fresh networks as ONNX files.")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, default=FOLDER, help="the folder to write")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    for name in NETWORKS:
        path = options.output / f"{name}-{options.seed}.onnx"
        network = fresh(name, options.seed)
        export_onnx(network, SHAPE, path)
        print(f"wrote {path}: {sum(p.numel() for p in network.parameters())} parameters")


if __name__ == "__main__":
    main()
