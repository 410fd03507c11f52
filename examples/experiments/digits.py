"""Writes the data of `digits.toml`: the camera of `examples/digits` after it was knocked.

.venv/bin/python -m examples.experiments.digits
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from examples.digits.data import ADAPT, TEST, as_it_is_now

FILE = Path(__file__).resolve().parents[2] / "build" / "experiments" / "digits.npz"


def write(path: Path) -> None:
    """Half of the digits as the camera sees them now to learn from, the others to be tested by."""
    learn, test = as_it_is_now(ADAPT), as_it_is_now(TEST)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x_train=learn.x, y_train=learn.y, x_test=test.x, y_test=test.y)


if __name__ == "__main__":
    write(FILE)
    print(f"wrote {FILE.name}")
    sys.exit(0)
