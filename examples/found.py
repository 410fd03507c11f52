"""Lets `tinytrain search` find what the devices of the examples train.

    .venv/bin/python -m examples.found digits
    .venv/bin/python -m examples.found watch
    .venv/bin/python -m examples.found resnet8      # needs ../shared

The samples go to build/found, and what was found, too; the scheme of an example also to its folder.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from examples.demonstration import ROOT, Story, write_samples
from examples.digits.demo import story as digits
from examples.watch.demo import story as watch
from tinytrain.cli import main as run

FOLDER = Path("build", "found")
SHARED = Path("..", "shared")


@dataclass(frozen=True)
class Found:
    """A scheme to find.

    Attributes:
        model: the file, from the root.
        samples: writes the samples to a folder; gives calibration, learn and judge.
        ram: the budget, as the command line writes it.
    """

    model: Path
    samples: Callable[[Path], Mapping[str, Path]]
    ram: str


def _of(story: Story, ram: str) -> Found:
    model = Path(story.model).resolve().relative_to(ROOT)
    return Found(model, lambda folder: write_samples(story, folder), ram)


def another_sensor(folder: Path) -> dict[str, Path]:
    """CIFAR-10 as resnet8 knows it, and as a sensor with another curve and gains sees it."""
    folder.mkdir(parents=True, exist_ok=True)
    gains = np.linspace(0.75, 0.5, 3)
    with np.load(SHARED / "data" / "cifar10.npz") as held:
        known, labels = held["x_train"][:256], held["y_train"]
        parts = {
            "learn": (held["x_train"][256:3256], labels[256:3256]),
            "judge": (held["x_test"], held["y_test"]),
        }
    files = {"calibration": folder / "calibration.npz"}
    np.savez(files["calibration"], x=known.astype(np.float32), y=labels[:256].astype(np.int32))
    for name, (images, y) in parts.items():
        x = 255 * np.clip(gains * (images / 255) ** 1.5 + 0.12, 0, 1)
        files[name] = folder / f"{name}.npz"
        np.savez(files[name], x=x.astype(np.float32), y=y.astype(np.int32))
    return files


def main() -> int:
    """Searches; the exit code of the command."""
    cases = {
        "digits": lambda: _of(digits(), "24K"),
        "watch": lambda: _of(watch(), "32K"),
        "resnet8": lambda: Found(SHARED / "models" / "resnet8_int8.tflite", another_sensor, "96K"),
    }
    parser = argparse.ArgumentParser(description="Finds what the examples' devices train")
    parser.add_argument("example", choices=tuple(cases))
    name = parser.parse_args().example
    os.chdir(ROOT)
    found = cases[name]()
    files = found.samples(FOLDER / name)
    words = ["search", str(found.model), "--data", str(files["learn"])]
    words += ["--eval", str(files["judge"]), "--calibration", str(files["calibration"])]
    words += ["--target", "mps2-an500", "--ram", found.ram]
    output = FOLDER / f"{name}-{found.ram.lower()}b.toml"
    code = run([*words, "-o", str(output)])
    place = ROOT / "examples" / name
    if not code and place.is_dir():
        (place / output.name).write_bytes(output.read_bytes())
    return code


if __name__ == "__main__":
    sys.exit(main())
