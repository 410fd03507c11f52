"""Training in PyTorch: of the network that ships, and fine-tuning as the device does it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.fx.experimental.optimization import fuse

from bench.networks.objectives import Objective, tensors
from bench.networks.worlds import Samples
from examples.training import make_deterministic
from tinytrain.reference.schedule import parse_schedule, rate_at

BATCH = 64
PEAK_RATE = 5e-3
_EVALUATED = 250


def train(
    make: Callable[[], nn.Module], samples: Samples, objective: Objective, *, epochs: int, seed: int
) -> nn.Module:
    """A network from random weights: AdamW, one cycle of the rate; it returns in eval mode.

    Args:
        make: the network with random weights.
        seed: of the weights and of the order of the samples.
    """
    make_deterministic(seed)
    network = make()
    inputs, y = tensors(samples)
    steps = epochs * (len(y) // BATCH)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_RATE, total_steps=steps)
    network.train()
    for _ in range(epochs):
        order = torch.randperm(len(y))
        for start in range(0, len(y) - BATCH + 1, BATCH):
            chosen = order[start : start + BATCH]
            loss = objective.of(network(*(x[chosen] for x in inputs)), y[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def fine_tune(
    network: nn.Module,
    samples: Samples,
    objective: Objective,
    order: np.ndarray,
    *,
    rate: float,
    schedule: str,
) -> nn.Module:
    """The network after plain SGD at batch 1 on all its weights and biases, in float.

    As on the device, batch normalisation is part of the layer before it, dropout passes everything,
    and a step whose loss is not finite is left out.

    Args:
        network: stays as it is.
        order: the sample of each step.
        rate, schedule: as `compile` takes them.
    """
    torch.set_num_threads(1)
    tuned = fuse(network).eval()
    inputs, y = tensors(samples)
    optimizer = torch.optim.SGD(tuned.parameters(), lr=rate)
    parsed = parse_schedule(schedule)
    for step, index in enumerate(order):
        one = slice(int(index), int(index) + 1)
        loss = objective.of(tuned(*(x[one] for x in inputs)), y[one])
        if not torch.isfinite(loss):
            continue
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = float(rate_at(parsed, rate, step))
        optimizer.step()
    return tuned


def score(network: nn.Module, samples: Samples, objective: Objective) -> float:
    """The objective's score over all samples."""
    inputs, y = tensors(samples)
    chunks = [slice(k, k + _EVALUATED) for k in range(0, len(y), _EVALUATED)]
    with torch.no_grad():
        parts = [network(*(x[chunk] for x in inputs)) for chunk in chunks]
    return objective.score(torch.cat(parts), y)


def write(samples: Samples, path: Path) -> Path:
    """A data file as `simulate` takes it."""
    arrays = {"x": samples.x}
    if samples.second is not None:
        arrays = {"x0": samples.x, "x1": samples.second}
    if samples.y is not None:
        arrays["y"] = samples.y
    np.savez(path, **arrays)
    return path
