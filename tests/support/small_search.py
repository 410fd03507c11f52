"""A small network and samples to search with, and what a search wrote."""

from __future__ import annotations

import re

import numpy as np
import torch

import tinytrain

CLASSES, SHAPE = 3, (1, 8, 8)


def network() -> torch.nn.Module:
    torch.manual_seed(4)
    layers = torch.nn.Sequential(
        torch.nn.Conv2d(1, 8, 3, stride=2, padding=1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 1),
        torch.nn.ReLU(),
        torch.nn.Conv2d(8, 8, 3, padding=1, groups=8),
        torch.nn.ReLU(),
        torch.nn.Flatten(),
        torch.nn.Linear(128, CLASSES),
    )
    for layer in layers:
        if isinstance(layer, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            torch.nn.init.zeros_(layer.bias)
    return layers.eval()


def samples(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images of noise with a brighter third, which is their class."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % CLASSES
    x = rng.normal(0, 0.5, (count, *SHAPE)).astype(np.float32)
    for k in range(CLASSES):
        x[y == k, :, 2 * k : 2 * k + 3] += 0.5
    return x, y


def files(result: tinytrain.SearchResult) -> list[bytes]:
    """All that it wrote, without the name of the file, which the command says."""
    found = [path.read_bytes() for path in (result.output, result.page, result.csv, result.json)]
    return [re.sub(rb"\w+\.toml", b"s.toml", text) for text in found]
