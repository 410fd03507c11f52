"""Train the network of the watch demo and write watch.onnx.

    .venv/bin/python -m examples.watch.train                 train for the demo's person, export
    .venv/bin/python -m examples.watch.train --everyone      leave each person out in turn, a table
    .venv/bin/python -m examples.watch.train --rates         rehearse schemes and learning rates

Needs PyTorch and onnx. The same seed gives the same file on the same machine and PyTorch.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from torch import nn

from examples.training import (
    Samples,
    SmallNetwork,
    accuracy,
    export_onnx,
    fit,
    make_deterministic,
    rehearse,
)
from examples.watch import data
from examples.watch.story import LEARNING_RATE, MODEL, PERSON, STEPS

SEED = 0
EPOCHS = 12
BATCH = 64
RATES = (0.0003, 0.001, 0.002, 0.003, 0.005, 0.01)


def samples(windows: data.Windows) -> Samples:
    """The windows as plain arrays."""
    return Samples(windows.x, windows.y)


def network_without(person: int, seed: int) -> nn.Module:
    """The network trained on everybody but `person`."""
    make_deterministic(seed)
    network = SmallNetwork(
        1, data.CHANNELS, len(data.EXERCISES), stem_kernel=7, stem_stride=2, kernel=5
    )
    return fit(network, samples(data.others(person)), epochs=EPOCHS, batch=BATCH)


def table_of_everyone(seed: int) -> None:
    """Leave each person out in turn; before and after the rehearsed training."""
    print(f"seed {seed}; after {STEPS} steps of 'full' at learning rate {LEARNING_RATE}, in float")
    print("| person | windows | before | after |\n|---|---|---|---|")
    for person in data.PEOPLE:
        network = network_without(person, seed)
        train, test = samples(data.first_half(person)), samples(data.second_half(person))
        before = accuracy(network, test)
        (after,) = rehearse(
            network, train, test, scheme="full", rate=LEARNING_RATE, check_at=[STEPS]
        )
        print(f"| {person} | {len(test.y)} | {before:.3f} | {after:.3f} |", flush=True)


def table_of_rates(network: nn.Module) -> None:
    """Rehearse the demo's person with several schemes and learning rates, in three orders."""
    train, test = samples(data.first_half(PERSON)), samples(data.second_half(PERSON))
    steps = [300, 600, 1000, 2000]
    print("lowest of three random orders after " + ", ".join(map(str, steps)) + " steps")
    print("| scheme | " + " | ".join(f"{rate:g}" for rate in RATES) + " |")
    print("|---" * (len(RATES) + 1) + "|")
    for scheme in ("head", "bias", "last-3", "last-6", "full"):
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
    parser = argparse.ArgumentParser(description="Train the network of the watch demo.")
    parser.add_argument("--everyone", action="store_true", help="leave each person out in turn")
    parser.add_argument("--rates", action="store_true", help="rehearse schemes and rates")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=MODEL, help="the ONNX file to write")
    options = parser.parse_args()
    if options.everyone:
        table_of_everyone(options.seed)
        return
    network = network_without(PERSON, options.seed)
    if options.rates:
        table_of_rates(network)
        return
    export_onnx(network, (data.CHANNELS, data.WINDOW), options.output)
    print(f"wrote {options.output}: {sum(p.numel() for p in network.parameters())} parameters")
    known, test = samples(data.others(PERSON)), samples(data.second_half(PERSON))
    train = samples(data.first_half(PERSON))
    for name, judge in ((f"person {PERSON}, second half", test), ("the nine others", known)):
        before = accuracy(network, judge)
        (after,) = rehearse(
            network, train, judge, scheme="full", rate=LEARNING_RATE, check_at=[STEPS]
        )
        print(f"accuracy on {name}: {before:.3f}, after {STEPS} rehearsed steps {after:.3f}")


if __name__ == "__main__":
    main()
