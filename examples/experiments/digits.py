"""Writes the data of `digits.toml` and `handful.toml`: a camera before and after it was knocked.

.venv/bin/python -m examples.experiments.digits
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from examples.digits.data import ADAPT, TEST, TRAIN, as_it_is_now, as_trained

FOLDER = Path(__file__).resolve().parents[2] / "build" / "experiments"
FILE = FOLDER / "digits.npz"
BEFORE, STRAIGHT = FOLDER / "digits-before.npz", FOLDER / "digits-straight.npz"


def write(path: Path) -> None:
    """Half of the digits as the camera sees them now to learn from, the others to be tested by."""
    learn, test = as_it_is_now(ADAPT), as_it_is_now(TEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x_train=learn.x, y_train=learn.y, x_test=test.x, y_test=test.y)


def write_old(before: Path, straight: Path) -> None:
    """Digits as the camera saw them before: those of the network's training, and the test ones."""
    for path, part in ((before, TRAIN), (straight, TEST)):
        seen = as_trained(part)
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, x=seen.x, y=seen.y)


if __name__ == "__main__":
    write(FILE)
    write_old(BEFORE, STRAIGHT)
    print("wrote " + ", ".join(path.name for path in (FILE, BEFORE, STRAIGHT)))
    sys.exit(0)
