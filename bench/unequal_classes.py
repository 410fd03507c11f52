"""What class weights do for a rare class, and how early health warns of a class that does not come.

Two examples learn by the C that ships: the digits as a detector of one digit (a tenth of the
samples are positive; a fresh head), and the watch with a person who does four of seven exercises a
sixth as often (its own head). Then the watch learns from one class alone. Prints Markdown tables;
docs/training.md has them.

    .venv/bin/python -m bench.unequal_classes
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import tinytrain
from bench.adapting import worlds
from bench.tables import spread
from examples.digits import data as digits
from tinytrain.reference.class_health import (
    ABSENT,
    FADE_STEPS,
    ClassCounts,
    absent_after,
    count_step,
    trend,
)
from tinytrain.simulation.device import Device
from tinytrain.simulation.forgetting import class_accuracies
from tinytrain.simulation.scores import balanced_accuracy
from tinytrain.simulation.stream import training_order

ROOT = Path(__file__).resolve().parent.parent
SEEDS = 3
WEIGHTS: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "`--class-weights balanced`": {"class_weights": "balanced"},
    "`--replay 64`": {"replay": 64},
    "both": {"class_weights": "balanced", "replay": 64},
}
LOOK = 10
"""Steps between two evaluations of a stream of one class."""

LONGEST = 1_000
"""Steps of such a stream."""


@dataclass(frozen=True, eq=False)
class World:
    """A model that ships, and labelled samples of where it is now; arrays as the model has them.

    Attributes:
        rare: classes that are.
        options: of `compile`.
    """

    name: str
    model: Path
    calibration: np.ndarray
    learn: tuple[np.ndarray, np.ndarray]
    judge: tuple[np.ndarray, np.ndarray]
    rare: tuple[int, ...]
    options: Mapping[str, object]
    steps: int


def digit_detector() -> World:
    """Whether a digit is an eight: a tenth of the samples."""
    learn, judge = digits.as_it_is_now(slice(0, 1350)), digits.as_it_is_now(digits.TEST)
    return World(
        "digits, is it an eight, fresh head",
        ROOT / "examples" / "digits" / "digits.onnx",
        digits.as_trained(digits.TRAIN).x[:256],
        (learn.x, (learn.y == 8).astype(np.int32)),
        (judge.x, (judge.y == 8).astype(np.int32)),
        (1,),
        {"classes": 2, "scheme": "last-3"},
        1350,
    )


def watch() -> World:
    """A person who does four of the seven exercises a sixth as often."""
    parts = worlds.watch_unequal()
    assert parts.learn.y is not None and parts.judge.y is not None
    return World(
        "watch, four exercises a sixth as often, own head",
        ROOT / "examples" / "watch" / "watch.onnx",
        parts.calibration.x,
        (parts.learn.x, parts.learn.y),
        (parts.judge.x, parts.judge.y),
        (1, 2, 4, 6),
        {"scheme": "last-3"},
        1000,
    )


def compiled(world: World, folder: Path, options: Mapping[str, object]) -> Device:
    """The model as a device."""
    given = {"schedule": "constant", **world.options, **options}
    tinytrain.compile_model(
        world.model, output=folder, calibration=world.calibration, rate_limit=1024.0, **given
    )
    return tinytrain.load(folder)


def learned(world: World, device: Device, seed: int) -> tuple[float, float, float, float]:
    """Accuracy, balanced accuracy, mean recall and mean F1 of the rare classes."""
    device.reset()
    order = training_order(len(world.learn[1]), world.steps, seed)
    device.train_step(world.learn[0][order], world.learn[1][order])
    labels = world.judge[1]
    found = device.evaluate(*world.judge)
    classes = int(labels.max()) + 1
    each = class_accuracies(found.predictions, labels, classes)
    scores = [
        2 * np.sum((found.predictions == k) & (labels == k))
        / (np.sum(found.predictions == k) + np.sum(labels == k))
        for k in world.rare
    ]  # fmt: skip
    recall = np.mean([each[k] or 0.0 for k in world.rare])
    assert found.accuracy is not None
    return found.accuracy, balanced_accuracy(each) or 0.0, float(recall), float(np.mean(scores))


def weights_table(place: Path) -> Iterator[str]:
    """A line for each world and way."""
    yield "| samples | way | accuracy | balanced | recall of the rare | F1 of the rare |"
    yield "|---|---|---:|---:|---:|---:|"
    for world in (digit_detector(), watch()):
        for name, options in WEIGHTS.items():
            device = compiled(world, place / "model", options)
            found = [learned(world, device, seed) for seed in range(SEEDS)]
            cells = [spread(one) for one in zip(*found, strict=True)]
            yield f"| {world.name} | {name} | " + " | ".join(cells) + " |"


def alone(world: World, device: Device, rate: float, label: int) -> list[int | None]:
    """Steps on one class, after what `learned` taught, until health warns of another, and until the
    accuracy of the others is less than 90, 50 and 10 % of what it was; None where that took more
    than `LONGEST`."""
    learned(world, device, 0)
    device.learning_rate = rate
    x, y = (part[world.learn[1] == label] for part in world.learn)
    labels = world.judge[1]
    others = labels != label
    classes = int(labels.max()) + 1
    guidance = device._folder.manifest.guidance
    fade = FADE_STEPS / (guidance.kernel * guidance.curvature)
    after = absent_after(classes, fade, np.float32(rate))
    counts = [ClassCounts() for _ in range(classes)]
    judged = world.judge[0][others], labels[others]
    first = device.evaluate(*judged).accuracy or 0.0
    found: list[int | None] = [None] * 4
    for step in range(LONGEST):
        at = slice(step % len(y), step % len(y) + 1)
        result = device.train_step(x[at], y[at])
        count_step(counts, label, int(result.predictions[0]))
        if any(trend(counts, k, after) == ABSENT for k in range(classes)):
            found[0] = found[0] or step + 1
        if (step + 1) % LOOK == 0:
            left = (device.evaluate(*judged).accuracy or 0.0) / first
            for place, bound in enumerate((0.9, 0.5, 0.1), start=1):
                found[place] = found[place] or (step + 1 if left < bound else None)
            if found[0] and found[3]:
                break
    return found


def alone_table(place: Path) -> Iterator[str]:
    """A line for each world, rate and class."""
    yield (
        "| samples | rate | alone | warned after | accuracy of the others below 90 % "
        "of what it was | below 50 % | below 10 % |"
    )
    yield "|---|---:|---:|---:|---:|---:|---:|"
    for world in (digit_detector(), watch()):
        device = compiled(world, place / "model", {})
        suggested = device.learning_rate
        for factor in (1.0, 0.1):
            rate = float(f"{suggested * factor:.2g}")
            for label in (0, 3)[: int(world.learn[1].max() + 1) // 2]:
                each = alone(world, device, rate, label)
                cells = ["never" if one is None else f"{one:,}" for one in each]
                yield f"| {world.name} | {rate:g} | class {label} | " + " | ".join(cells) + " |"


def main() -> None:
    """Prints what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", choices=("weights", "alone"))
    only = parser.parse_args().only
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        for name, table in (("weights", weights_table), ("alone", alone_table)):
            if only in (None, name):
                for line in table(Path(place)):
                    print(line, flush=True)
                print()


if __name__ == "__main__":
    main()
