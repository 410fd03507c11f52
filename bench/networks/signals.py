"""Networks for signals, [N, C, L], and for flat inputs, [N, F]."""

from __future__ import annotations

import torch
from torch import nn


class Chomp(nn.Module):
    """Cuts off what the padding of a causal convolution put behind the end."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x[:, :, : -self.size].contiguous()


class TemporalBlock(nn.Module):
    """Two dilated causal convolutions beside a skip."""

    def __init__(self, inputs: int, outputs: int, kernel: int, dilation: int) -> None:
        super().__init__()
        padding = (kernel - 1) * dilation
        layers: list[nn.Module] = []
        for channels in (inputs, outputs):
            layers += [
                nn.Conv1d(channels, outputs, kernel, padding=padding, dilation=dilation),
                Chomp(padding),
                nn.ReLU(),
                nn.Dropout(0.1),
            ]
        self.body = nn.Sequential(*layers)
        self.skip = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        kept = x if self.skip is None else self.skip(x)
        return torch.relu(self.body(x) + kept)


class Tcn(nn.Module):
    """A temporal convolutional network (Bai and others, 2018) that reads its last moment."""

    def __init__(self, channels: int, classes: int, width: int = 16) -> None:
        super().__init__()
        blocks = [TemporalBlock(channels if k == 0 else width, width, 3, 2**k) for k in range(5)]
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(width, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(x)[:, :, -1])


class Mlp(nn.Module):
    """Two hidden layers with GELU on a flat input."""

    def __init__(self, features: int, classes: int, width: int = 64) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, width),
            nn.GELU(),
            nn.Linear(width, width),
            nn.GELU(),
            nn.Linear(width, classes),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Cnn1d(nn.Module):
    """Strided convolutions along time with batch normalisation, pooled, and a linear head.

    Args:
        outputs: classes, labels or numbers.
    """

    def __init__(self, channels: int, outputs: int, width: int = 16) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs = channels
        for k, size in enumerate((width, 2 * width, 2 * width, 3 * width)):
            kernel = 7 if k == 0 else 5
            layers += [
                nn.Conv1d(inputs, size, kernel, stride=2, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(size),
                nn.ReLU(),
            ]
            inputs = size
        self.features = nn.Sequential(*layers)
        self.pool = nn.AdaptiveAvgPool1d(1)
        self.head = nn.Linear(inputs, outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.features(x)).squeeze(-1))


class Forecast(nn.Module):
    """Says what comes next: convolutions along time, the last moments flat into dense layers."""

    def __init__(self, channels: int, outputs: int, width: int = 16) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv1d(channels, width, 5, stride=2, padding=2),
            nn.ReLU(),
            nn.Conv1d(width, width, 5, stride=2, padding=2),
            nn.ReLU(),
        )
        self.dense = nn.Sequential(nn.Linear(8 * width, 32), nn.ReLU(), nn.Linear(32, outputs))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.dense(torch.flatten(self.features(x)[:, :, -8:], 1))


class TwoInputs(nn.Module):
    """Acceleration and rotation, each through a branch of its own, joined before the head."""

    def __init__(self, classes: int, width: int = 16) -> None:
        super().__init__()
        self.moved, self.turned = (
            nn.Sequential(
                nn.Conv1d(3, width, 7, stride=2, padding=3),
                nn.ReLU(),
                nn.Conv1d(width, 2 * width, 5, stride=2, padding=2),
                nn.ReLU(),
                nn.AdaptiveAvgPool1d(1),
                nn.Flatten(),
            )
            for _ in range(2)
        )
        self.head = nn.Linear(4 * width, classes)

    def forward(self, moved: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
        return self.head(torch.cat([self.moved(moved), self.turned(turned)], dim=1))
