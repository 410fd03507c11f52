"""`--scheme auto` beside presets that take as much RAM, and how long it takes to choose.

    .venv/bin/python -m bench.auto_scheme
    .venv/bin/python -m bench.auto_scheme --time

The first trains by the C that ships, in one library in which a session says what trains. Samples
to choose by are among those to learn from; what judges is in neither. The second is processor time,
compilers included: MCUNet-5FPS with a fresh head for CIFAR-10.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from bench.adapting import worlds
from bench.tables import spread
from examples.digits.story import MODEL as DIGITS
from examples.watch.story import MODEL as WATCH
from examples.watch.story import PERSON
from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.knapsack import Values
from tinytrain.choosing.shared_rate import Band, SharedRate
from tinytrain.compiler.auto_scheme import AutoScheme
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.images import image_preprocess
from tinytrain.compiler.integers import IntegerModel, integer_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.samples import sample_spec
from tinytrain.compiler.worth import labelled_samples, worth_of
from tinytrain.data import Preprocess, SampleSpec
from tinytrain.data.given import given_samples
from tinytrain.frontend import import_model
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.scheme.scheme import Scheme, load_scheme
from tinytrain.searches.switches import Switches
from tinytrain.searches.trial import trial
from tinytrain.searches.valuations import by_descent, by_fisher, by_root
from tinytrain.simulation.library import LibrarySamples
from tinytrain.target import load_target

SHARED = Path(__file__).resolve().parents[2] / "shared"
TARGET = "mps2-an500"
SEEDS = (0, 1, 2)
CALIBRATION = 256
RAM = (239_000, 350_000)
"""About what the published 49 KB and 100 KB schemes take in their plain plan."""

WAYS: dict[str, Callable[[Choices, Worth], Values] | None] = {
    "auto": None,
    "squared mean gradient": by_descent,
    "Fisher": by_fisher,
    "root of Fisher": by_root,
}
"""To value a layer; None is that of `--scheme auto`."""


class Summed(SharedRate):
    """Values that add up, whatever else trains."""

    def __init__(self, choices: Choices, worth: Worth, values: Values) -> None:
        super().__init__(choices, worth)
        self._values = values

    def gain(self, count: int, ratios: Ratios) -> float:
        """See `SharedRate`."""
        layers = self._choices.layers
        return self._values.of(layers[len(layers) - count :], ratios)

    def bands(self) -> list[Band]:
        """One."""
        return [Band(1.0, 2.0**60)]

    def values(self, band: Band) -> Values:
        """See `SharedRate`."""
        return self._values


@dataclass(frozen=True)
class Case:
    """A network and the world that it learns.

    Attributes:
        learn, judge: x and y.
        presets: that it is compared with.
    """

    name: str
    model: Path
    learn: tuple[np.ndarray, np.ndarray]
    judge: tuple[np.ndarray, np.ndarray]
    steps: int
    presets: tuple[str, ...]


def cases() -> Iterator[Case]:
    """Those of the table."""
    digits, watch = worlds.digits(), worlds.watch(PERSON)
    for name, model, parts, steps in (
        ("digits, tilted and hazy", DIGITS, digits, 1500),
        (f"watch, person {PERSON}", WATCH, watch, 1000),
    ):
        learn, judge = (parts.learn.x, parts.learn.y), (parts.judge.x, parts.judge.y)
        yield Case(name, model, learn, judge, steps, ("last-1", "bias", "last-3"))
    with np.load(SHARED / "data" / "cifar10.npz") as held:
        learn = pale(held["x_train"][:1500]), held["y_train"][:1500].astype(np.int32)
        judge = pale(held["x_test"][:1000]), held["y_test"][:1000].astype(np.int32)
    model = SHARED / "models" / "resnet8_int8.tflite"
    name = "resnet8, CIFAR-10 by a pale camera"
    yield Case(name, model, learn, judge, 1000, ("last-1", "bias", "last-3"))


def pale(images: np.ndarray) -> np.ndarray:
    """Photographs with half the contrast and a yellow light."""
    light = 0.5 * images.astype(np.float64) * (1.1, 1.0, 0.7) + 60.0
    return np.clip(light, 0, 255).round().astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A case, read and quantized."""

    given: IntegerModel
    options: Options
    preprocess: Preprocess | None


def prepared(model: Path, calibration: Any, options: Options) -> Prepared:
    """A model with labelled calibration samples."""
    imported, preprocess = image_preprocess(import_model(model), None, None)
    given = integer_model(imported, calibration, preprocess, options, Runner())
    return Prepared(given, options, preprocess)


def table(only: str) -> None:
    """Prints the table, a line as soon as it is known."""
    print("| network and world | RAM of | bytes | preset | " + " | ".join(WAYS) + " |")
    print("|---|---|---:|---:|" + "---:|" * len(WAYS))
    for case in cases():
        if only in case.name:
            lines(case)


def lines(case: Case) -> None:
    """Prints the lines of a case."""
    (x, y), options = case.learn, Options()
    chosen = worlds.chosen(y, None, 0)[:CALIBRATION]
    made = prepared(case.model, (x[chosen], y[chosen]), options)
    target = load_target(TARGET)
    auto = AutoScheme.of(made.given, options, made.preprocess, target)
    layers = weighted_layers(made.given.forward)
    switches, spec = everything(made, options)
    learn, judge = (
        LibrarySamples(data.targets(slice(None)), data.quantized(slice(None)))
        for data in (given_samples(*case.learn, spec), given_samples(*case.judge, spec))
    )

    def accuracies(scheme: Scheme) -> str:
        found = [
            trial(switches, scheme, learn, judge, steps=case.steps, seeds=[seed]).accuracy
            for seed in SEEDS
        ]
        return spread(found)

    for preset in case.presets:
        scheme = load_scheme(preset, layers)
        ram = auto.costs.of(scheme).ram
        cells = [case.name, f"`{preset}`", f"{ram:,}", accuracies(scheme)]
        for valued in WAYS.values():
            choices, worth = auto.costs.choices, auto.worth
            auto.values = (
                SharedRate(choices, worth)
                if valued is None
                else Summed(choices, worth, valued(choices, worth))
            )
            cells.append(accuracies(replace(auto.within(Budget(ram, 1 << 30)).scheme, name="auto")))
        print(f"| {' | '.join(cells)} |", flush=True)


def everything(made: Prepared, options: Options) -> tuple[Switches, SampleSpec]:
    """A library in which all of a model can train, and how it takes samples."""
    full = load_scheme("full", weighted_layers(made.given.forward))
    inputs = made.given.quantized_samples()
    compiled = build_step(made.given.forward, options, Runner(), inputs, scheme=full)
    return Switches(compiled), sample_spec(compiled, made.preprocess)


def seconds() -> float:
    """Processor time so far, children included."""
    return sum(os.times()[:4])


def times() -> None:
    """Prints how long each part of the choice takes for MCUNet-5FPS."""
    with np.load(SHARED / "data" / "cifar10.npz") as held, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "labelled.npz")
        np.savez(file, x=held["x_train"][:CALIBRATION], y=held["y_train"][:CALIBRATION])
        options = Options(classes=10, scheme="auto")
        model = SHARED / "models" / "mcunet-5fps-int8.onnx"
        made = prepared(model, file, options)
        start = seconds()
        samples = labelled_samples(made.given, options, made.preprocess, "the bench", "nothing")
        worth = worth_of(made.given.forward, options, samples, learned=True)
        print(f"what {len(worth.layers)} layers are worth: {seconds() - start:.1f} s")
        start = seconds()
        auto = AutoScheme.of(made.given, options, made.preprocess, load_target(TARGET))
        print(f"with what they cost: {seconds() - start:.1f} s")
        for ram in RAM:
            start = seconds()
            record = auto.within(Budget(ram, 1 << 30)).record
            print(f"{ram:,} bytes: {seconds() - start:.1f} s; {record.sentence()}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--time", action="store_true", help="how long it takes to choose")
    parser.add_argument("--only", default="", help="part of a name")
    options = parser.parse_args()
    if options.time:
        times()
    else:
        table(options.only)
    return 0


if __name__ == "__main__":
    sys.exit(main())
