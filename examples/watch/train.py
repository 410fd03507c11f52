"""Train the network of the watch demo and write watch.onnx.

    .venv/bin/python -m examples.watch.train                 train for the demo's person, export
    .venv/bin/python -m examples.watch.train --everyone      leave each person out in turn, a table

Needs PyTorch and onnx. The same seed gives the same file on the same machine and PyTorch.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from torch import nn

from examples.demonstration import write_samples
from examples.measure import compile_story, train
from examples.training import (
    Samples,
    SmallNetwork,
    accuracy,
    export_onnx,
    fit,
    make_deterministic,
)
from examples.watch import data
from examples.watch.demo import story
from examples.watch.story import LEARNING_RATE, MODEL, PERSON, STEPS

SEED = 0
EPOCHS = 12
BATCH = 64
SHAPE = (data.CHANNELS, data.WINDOW)


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
    """Leave each person out in turn: what the device learns, and what it forgets of the others."""
    print(f"seed {seed}; after {STEPS:,} steps at learning rate {LEARNING_RATE}, int8")
    print("| person | windows judged | float before | before | after | the nine others after |")
    print("|---|---|---|---|---|---|")
    for person in data.PEOPLE:
        network = network_without(person, seed)
        with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
            model = Path(place) / "watch.onnx"
            export_onnx(network, SHAPE, model)
            known = data.others(person)
            # Without rehearsal, to see what is forgotten.
            one = replace(story(person, model), rehearsal_slots=0, past=(known.x, known.y))
            files = write_samples(one, Path(place) / "data")
            product = compile_story(one, files, Path(place) / "model")
            new = train(product, one, files)
            old = train(product, one, files, judge="past")
        judged = samples(data.second_half(person))
        figures = (
            accuracy(network, judged),
            new.accuracy_before,
            new.accuracy_after,
            old.accuracy_after,
        )
        cells = " | ".join(f"{figure:.3f}" for figure in figures)
        print(f"| {person} | {len(judged.y)} | {cells} |", flush=True)


def main() -> None:
    """Parse the command line and do what it asks."""
    parser = argparse.ArgumentParser(description="Train the network of the watch demo.")
    parser.add_argument("--everyone", action="store_true", help="leave each person out in turn")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--output", type=Path, default=MODEL, help="the ONNX file to write")
    options = parser.parse_args()
    if options.everyone:
        table_of_everyone(options.seed)
        return
    network = network_without(PERSON, options.seed)
    export_onnx(network, SHAPE, options.output)
    print(f"wrote {options.output}: {sum(p.numel() for p in network.parameters())} parameters")
    for name, windows in (
        (f"person {PERSON}, second half", data.second_half(PERSON)),
        ("the nine others", data.others(PERSON)),
    ):
        print(f"accuracy in float on {name}: {accuracy(network, samples(windows)):.3f}")


if __name__ == "__main__":
    main()
