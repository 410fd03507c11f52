"""What the examples share: a small network, its training, and a rehearsal of the device in float.

PyTorch only; nothing here is needed to run a demo, whose ONNX file is committed.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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


def folded(network: nn.Module) -> nn.Module:
    """A copy with each BatchNorm folded into the convolution before it, as the compiler does.

    Training after folding is not training before it: the same rate moves the weights differently.
    """
    network = copy.deepcopy(network).eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            layers = list(module)
            for index in range(len(layers) - 1):
                conv, norm = layers[index], layers[index + 1]
                if isinstance(conv, nn.Conv1d | nn.Conv2d) and isinstance(
                    norm, nn.BatchNorm1d | nn.BatchNorm2d
                ):
                    module[index] = fuse_conv_bn_eval(conv, norm)
                    module[index + 1] = nn.Identity()
    return network


def trained_parameters(network: nn.Module, scheme: str) -> list[nn.Parameter]:
    """Parameters of a folded network that a preset trains; all others are frozen.

    Args:
        scheme: "head"; "bias" (all biases and the head); "last-K" (weights and biases of the last K
            convolutions and the head); "full".
    """
    convs = [m for m in network.modules() if isinstance(m, nn.Conv1d | nn.Conv2d)]
    heads = [m for m in network.modules() if isinstance(m, nn.Linear)]
    network.requires_grad_(False)
    chosen = [parameter for head in heads for parameter in head.parameters()]
    if scheme == "bias":
        chosen += [p for conv in convs for name, p in conv.named_parameters() if name == "bias"]
    elif scheme == "full":
        chosen = list(network.parameters())
    elif scheme.startswith("last-"):
        chosen += [p for conv in convs[-int(scheme[5:]) :] for p in conv.parameters()]
    elif scheme != "head":
        raise ValueError(f"there is no scheme '{scheme}'; there are head, bias, last-K and full")
    for parameter in chosen:
        parameter.requires_grad_(True)
    return chosen


def rehearse(
    network: nn.Module,
    train: Samples,
    test: Samples,
    *,
    scheme: str,
    rate: float,
    check_at: Sequence[int],
    seed: int = 0,
    fraction_bits: int | None = 4,
) -> list[float]:
    """What the device will do, in float: batch 1, plain SGD, a new random order each epoch.

    Args:
        network: not changed.
        scheme: as for `trained_parameters`.
        check_at: steps, rising, after which the accuracy on `test` is taken; the last one ends it.
        fraction_bits: trained weights are kept in 127 * 2**fraction_bits levels for each output
            channel and rounded stochastically at every step; None keeps them in float.

    Returns:
        Accuracy at each of `check_at`.
    """
    network = folded(network)
    parameters = trained_parameters(network, scheme)
    steps = [_level(p, fraction_bits) for p in parameters]
    generator = torch.Generator().manual_seed(seed)
    x, y = train.tensors()
    order: list[int] = []
    seen = []
    for step in range(1, check_at[-1] + 1):
        if not order:
            order = torch.randperm(len(x), generator=generator).tolist()
        index = order.pop()
        logits = network(x[index : index + 1])
        loss = nn.functional.cross_entropy(logits, y[index : index + 1])
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            for parameter, gradient, level in zip(parameters, gradients, steps, strict=True):
                parameter.sub_(rate * gradient)
                if level is not None:
                    noise = torch.rand(parameter.shape, generator=generator)
                    parameter.copy_(torch.floor(parameter / level + noise) * level)
        if step in check_at:
            seen.append(accuracy(network, test))
    return seen


def _level(parameter: torch.Tensor, fraction_bits: int | None) -> torch.Tensor | None:
    """Distance between storable values of each output channel; biases have s32 and need none."""
    if parameter.dim() < 2 or fraction_bits is None:
        return None
    peak = parameter.detach().abs().flatten(1).amax(1) / 127 / 2**fraction_bits
    return peak.view(-1, *[1] * (parameter.dim() - 1))


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
