"""Train the network of the digits demo and write digits.onnx.

    .venv/bin/python -m examples.digits.train            train, export
    .venv/bin/python -m examples.digits.train --rates    rehearse schemes and learning rates

Needs PyTorch and onnx. The same seed gives the same file on the same machine and PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from examples.digits import data
from examples.digits.story import LEARNING_RATE, MODEL, STEPS
from examples.training import (
    Samples,
    SmallNetwork,
    accuracy,
    export_onnx,
    fit,
    make_deterministic,
    rehearse,
)

SEED = 0
EPOCHS = 40
BATCH = 32
RATES = (0.0003, 0.001, 0.002, 0.003, 0.005, 0.01)


def samples(images: data.Images) -> Samples:
    """The images as plain arrays."""
    return Samples(images.x, images.y)


def trained_network(seed: int) -> nn.Module:
    """The network trained on the first 900 digits as the good camera saw them."""
    make_deterministic(seed)
    network = SmallNetwork(2, data.SHAPE[0], data.CLASSES, stem_kernel=3, stem_stride=1, kernel=3)
    clean = samples(data.as_trained(data.TRAIN))
    return fit(network, clean, epochs=EPOCHS, batch=BATCH, augment=0.1)


def table_of_rates(network: nn.Module) -> None:
    """Rehearse several schemes and learning rates, in three orders."""
    train, test = samples(data.as_it_is_now(data.ADAPT)), samples(data.as_it_is_now(data.TEST))
    steps = [500, 1000, 2000]
    print("lowest of three random orders after " + ", ".join(map(str, steps)) + " steps")
    print("| scheme | " + " | ".join(f"{rate:g}" for rate in RATES) + " |")
    print("|---" * (len(RATES) + 1) + "|")
    for scheme in ("head", "bias", "last-6", "full"):
        cells = []
        for rate in RATES:
            runs = [
                rehearse(network, train, test, scheme=scheme, rate=rate, check_at=steps, seed=seed)
                for seed in range(3)
            ]
            lowest = [min(run[k] for run in runs) for k in range(len(steps))]
            cells.append(" ".join(f"{value:.2f}" for value in lowest))
        print(f"| {scheme} | " + " | ".join(cells) + " |", flush=True)


def main() -> None:
    """Parse the command line and do what it asks."""
    parser = argparse.ArgumentParser(description="Train the network of the digits demo.")
    parser.add_argument("--rates", action="store_true", help="rehearse schemes and rates")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=MODEL, help="the ONNX file to write")
    options = parser.parse_args()
    network = trained_network(options.seed)
    if options.rates:
        table_of_rates(network)
        return
    export_onnx(network, data.SHAPE, options.output)
    print(f"wrote {options.output}: {sum(p.numel() for p in network.parameters())} parameters")
    train = samples(data.as_it_is_now(data.ADAPT))
    clean, now = samples(data.as_trained(data.TEST)), samples(data.as_it_is_now(data.TEST))
    for name, judge in (("tilted and pale", now), ("as the camera was", clean)):
        before = accuracy(network, judge)
        (after,) = rehearse(
            network, train, judge, scheme="full", rate=LEARNING_RATE, check_at=[STEPS]
        )
        print(f"accuracy {name}: {before:.3f}, after {STEPS} rehearsed steps {after:.3f}")


if __name__ == "__main__":
    main()
