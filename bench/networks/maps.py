"""Networks whose output is a picture or an embedding."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from bench.networks.images import conv


class Autoencoder(nn.Module):
    """Strided convolutions to 7x7x8, back to 28x28 by two sub-pixel convolutions (PixelShuffle)."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            conv(1, width, 3, 2), conv(width, 2 * width, 3, 2), nn.Conv2d(2 * width, 8, 1)
        )
        self.decoder = nn.Sequential(
            conv(8, 4 * width, 3),
            nn.PixelShuffle(2),
            nn.Conv2d(width, 4, 3, padding=1),
            nn.PixelShuffle(2),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))


class Embedding(nn.Module):
    """Embeddings of length 1, and a class for each direction of the head."""

    def __init__(self, classes: int, size: int = 32) -> None:
        super().__init__()
        self.features = nn.Sequential(conv(1, 16, 3, 2), conv(16, 32, 3, 2), conv(32, 32, 3))
        self.embed = nn.Linear(32, size)
        self.head = nn.Linear(size, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.features(x).mean((2, 3))
        return self.head(functional.normalize(self.embed(x), dim=1))


class UNet(nn.Module):
    """A U-Net that shrinks by strided convolutions and grows by repeating pixels.

    Args:
        classes: of a pixel.
    """

    def __init__(self, classes: int, width: int = 8) -> None:
        super().__init__()
        self.first = conv(1, width, 3)
        self.down = conv(width, 2 * width, 3, 2)
        self.second = conv(2 * width, 2 * width, 3)
        self.further = conv(2 * width, 4 * width, 3, 2)
        self.bottom = conv(4 * width, 4 * width, 3)
        self.grow = nn.Upsample(scale_factor=2, mode="nearest")
        self.right = conv(6 * width, 2 * width, 3)
        self.top = conv(3 * width, width, 3)
        self.head = nn.Conv2d(width, classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first = self.first(x)
        second = self.second(self.down(first))
        bottom = self.bottom(self.further(second))
        y = self.right(torch.cat([self.grow(bottom), second], dim=1))
        return self.head(self.top(torch.cat([self.grow(y), first], dim=1)))
