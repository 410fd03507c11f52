"""Small PyTorch networks that together use every operation that can be imported."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


class MobileBlock(nn.Module):
    """Expansion, depthwise, squeeze and excitation, projection, residual: MobileNetV3 in small."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish()
        )
        self.expand = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
        self.depthwise = nn.Sequential(
            nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False), nn.BatchNorm2d(16), nn.Hardswish()
        )
        self.squeeze = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(16, 4, 1),
            nn.ReLU(),
            nn.Conv2d(4, 16, 1),
            nn.Hardsigmoid(),
        )
        self.project = nn.Sequential(nn.Conv2d(16, 8, 1, bias=False), nn.BatchNorm2d(8))
        self.classifier = nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        y = self.depthwise(self.expand(x))
        y = self.project(y * self.squeeze(y))
        return self.classifier((x + y).mean((2, 3)))


class SignalNet(nn.Module):
    """A 1-D network: convolutions, pooling, flatten over channels and time."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv1d(6, 8, 5, stride=2, padding=2)
        self.norm = nn.BatchNorm1d(8)
        self.b = nn.Conv1d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.fc = nn.Linear(8 * 8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.norm(self.a(x)))
        x = functional.max_pool1d(functional.relu(self.b(x)), 2)
        return self.fc(torch.flatten(x, 1))


class BranchNet(nn.Module):
    """Concatenation, max and average pooling with padding, dilation, groups, flatten, softmax."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(2, 6, 3, padding=1)
        self.b = nn.Conv2d(6, 4, (3, 1), padding=(2, 0), dilation=(2, 1))
        self.c = nn.Conv2d(6, 6, (1, 3), padding=(0, 1), groups=3)
        self.fc1 = nn.Linear(10 * 5 * 6, 12)
        self.fc2 = nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.a(x))
        y = torch.cat([functional.leaky_relu(self.b(x), 0.1), torch.tanh(self.c(x))], 1)
        y = functional.max_pool2d(y, 3, 2, 1)
        y = functional.avg_pool2d(y, 3, 1, 1)
        y = torch.sigmoid(self.fc1(torch.flatten(y, 1)))
        return functional.softmax(self.fc2(y), 1)


class PreActivationNet(nn.Module):
    """Batch normalisation that no layer can take, scaled input, a 1x1 convolution as classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 6, 3, padding=1)
        self.norm = nn.BatchNorm2d(6)
        self.b = nn.Conv2d(6, 6, 3, padding=1)
        self.head = nn.Conv2d(6, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.a(x / 2.0)
        y = self.b(functional.silu(self.norm(x)))
        x = functional.pad(x + y, (1, 1, 1, 1))
        x = functional.avg_pool2d(x, 2)
        return self.head(functional.adaptive_avg_pool2d(x, 1)).flatten(1)


class ShuffleNet(nn.Module):
    """A channel shuffle: reshape and transpose that need nodes of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Conv2d(3, 8, 1, groups=1)
        self.b = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.fc = nn.Linear(8 * 4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = functional.relu(self.a(x))
        n, c, h, w = x.shape
        x = x.reshape(n, 2, c // 2, h, w).transpose(1, 2).reshape(n, c, h, w)
        x = functional.relu(self.b(x))
        x = functional.adaptive_avg_pool2d(x, 2)
        return self.fc(x.flatten(1))


class DenseNet(nn.Module):
    """Dense layers only, with a batch normalisation between them."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(10, 16),
            nn.BatchNorm1d(16),
            nn.ReLU(),
            nn.Linear(16, 16),
            nn.ReLU(),
            nn.Linear(16, 4),
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


NETS: dict[str, tuple[type[nn.Module], tuple[int, ...]]] = {
    "mobile": (MobileBlock, (1, 3, 16, 16)),
    "signal": (SignalNet, (1, 6, 32)),
    "branch": (BranchNet, (1, 2, 9, 11)),
    "preactivation": (PreActivationNet, (1, 3, 8, 8)),
    "shuffle": (ShuffleNet, (1, 3, 8, 8)),
    "dense": (DenseNet, (1, 10)),
}


def make_net(name: str) -> tuple[nn.Module, torch.Tensor]:
    """A network with fixed random weights and statistics, and 24 samples of its input."""
    kind, shape = NETS[name]
    torch.manual_seed(7)
    net = kind()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.normal_(part.bias, 0.0, 0.3)
            nn.init.normal_(part.running_mean, 0.0, 0.3)
            nn.init.uniform_(part.running_var, 0.5, 1.5)
    net.eval()
    return net, torch.randn(24, *shape[1:])
