"""What the examples share: a small network, its training, and its ONNX file.

PyTorch only; nothing here is needed to run a demo, whose ONNX file is committed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn

OPSET = 17


@dataclass(frozen=True)
class Samples:
    """`x`: float32 [N, C, L] or [N, C, H, W]; `y`: integer labels [N]."""

    x: np.ndarray
    y: np.ndarray

    def tensors(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The same as float32 and int64 tensors."""
        return torch.from_numpy(self.x), torch.from_numpy(self.y.astype(np.int64))


class InvertedResidual(nn.Module):
    """Expand (pointwise), filter (depthwise), project (pointwise); a skip where shapes allow."""

    def __init__(self, dims: int, inputs: int, outputs: int, *, kernel: int, stride: int) -> None:
        super().__init__()
        hidden = 2 * inputs
        self.body = nn.Sequential(
            *_conv(dims, inputs, hidden),
            nn.ReLU6(),
            *_conv(dims, hidden, hidden, kernel=kernel, stride=stride, groups=hidden),
            nn.ReLU6(),
            *_conv(dims, hidden, outputs),
        )
        self.skip = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.body(x)
        return x + y if self.skip else y


class SmallNetwork(nn.Module):
    """About 14,000 parameters: a stem, five inverted residuals, global pooling, a linear head.

    Args:
        dims: 1 for signals [N, channels, L], 2 for images [N, channels, H, W].
        stem_kernel, stem_stride: of the first convolution.
        kernel: of the depthwise convolutions.
    """

    def __init__(
        self,
        dims: int,
        channels: int,
        classes: int,
        *,
        stem_kernel: int,
        stem_stride: int,
        kernel: int,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential(
            *_conv(dims, channels, 16, kernel=stem_kernel, stride=stem_stride),
            nn.ReLU6(),
            InvertedResidual(dims, 16, 16, kernel=kernel, stride=1),
            InvertedResidual(dims, 16, 24, kernel=kernel, stride=2),
            InvertedResidual(dims, 24, 24, kernel=kernel, stride=1),
            InvertedResidual(dims, 24, 32, kernel=kernel, stride=2),
            InvertedResidual(dims, 32, 32, kernel=kernel, stride=1),
        )
        self.pool = nn.AdaptiveAvgPool1d(1) if dims == 1 else nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(32, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.flatten(self.pool(self.features(x)), 1))


def _conv(
    dims: int, inputs: int, outputs: int, *, kernel: int = 1, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, nn.Module]:
    conv = nn.Conv1d if dims == 1 else nn.Conv2d
    norm = nn.BatchNorm1d if dims == 1 else nn.BatchNorm2d
    return (
        conv(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        norm(outputs),
    )


def make_deterministic(seed: int) -> None:
    """Seed the generator and keep to one thread: sums over threads depend on how many there are."""
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)


def fit(
    network: nn.Module, samples: Samples, *, epochs: int, batch: int, augment: float = 0.0
) -> nn.Module:
    """Train from scratch (AdamW, one cycle, label smoothing); the network returns in eval mode.

    Label smoothing keeps the logits small, so that the first batch-1 steps on a stranger's data do
    not blow up: it widens the range of learning rates that work on the device.

    Args:
        augment: standard deviation of a random gain of each sample, and a third of it as noise.
    """
    x, y = samples.tensors()
    steps = epochs * (len(x) // batch)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.1)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(x))
        for start in range(0, len(x) - batch + 1, batch):
            chosen = order[start : start + batch]
            inputs = x[chosen]
            if augment:
                gain = 1 + augment * torch.randn(batch, *[1] * (x.dim() - 1))
                inputs = inputs * gain + augment / 3 * torch.randn_like(inputs)
            loss = loss_of(network(inputs), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def accuracy(network: nn.Module, samples: Samples) -> float:
    """Share of samples whose largest logit is their label's, 0 to 1."""
    x, y = samples.tensors()
    with torch.no_grad():
        return float((network(x).argmax(1) == y).double().mean())


def export_onnx(network: nn.Module, shape: Sequence[int], path: Path) -> None:
    """Write a float ONNX file with input `x` of a static shape (batch 1) and output `logits`."""
    with warnings.catch_warnings():
        # The TorchScript exporter needs no further package; it warns that it is not the default.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.onnx.export(
            network.eval(),
            (torch.zeros(1, *shape),),
            str(path),
            input_names=["x"],
            output_names=["logits"],
            opset_version=OPSET,
            dynamo=False,
        )
    model = onnx.load(path)
    # The exporter notes source lines of the machine that ran it; the file shall not depend on them.
    for node in model.graph.node:
        node.doc_string = ""
        del node.metadata_props[:]
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString(deterministic=True))
