"""The C interface of steps in portions on samples that are kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.host_programs import SANITIZERS, Compile, link
from tests.support.onnx_models import CLASSES

X = np.random.default_rng(0).standard_normal((30, 3, 6, 6)).astype(np.float32)
OLD = (X, np.arange(30) % (CLASSES - 1))
FINEST = 1e-9

OPTIONS: dict[str, dict[str, Any]] = {
    "rehearsal": {"rehearse": OLD, "rehearsal_slots": 9},
    "both": {"replay": 6, "rehearse": OLD, "rehearsal_slots": 9, "scheme": "last-1"},
    "whole nodes": {"replay": 6, "portions": 1.0},
    "a window": {"replay": 6, "momentum": 0.9, "accumulate": 3, "rehearse": OLD},
    "a schedule": {"replay": 2, "schedule": "cosine:30", "warm_up": 3, "scheme": "last-2"},
    "numbers": {"replay": 6, "loss": "mean_squared_error", "scheme": "last-1", "health": False},
    "flash": {"replay": 6, "replay_in": "flash", "scheme": "last-1", "rehearse": OLD},
    "numbers in flash": {"replay": 6, "replay_in": "flash", "loss": "mean_squared_error"},
    "in between": {"replay": 4, "rehearse": OLD, "scheme": "last-1", "concurrent": True},
}
LATER = ("a window", "a schedule", "numbers")


@pytest.mark.parametrize(
    "options",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LATER else []) for name in OPTIONS],
)
def test_steps_on_kept_samples(options: str, generated: Compile, tmp_path: Path) -> None:
    given = {"scheme": "full", "learning_rate": 0.01, "portions": FINEST, **OPTIONS[options]}
    folder = generated("small", **given)
    flags = [*SANITIZERS, f"-DWINDOW={given.get('accumulate', 1)}U"]
    flags += ["-DIN_FLASH"] if given.get("replay_in") == "flash" else []
    flags += ["-DIN_BETWEEN"] if given.get("concurrent") else []
    assert link("portions_kept.c", [folder], tmp_path, flags=flags).run() == "ok\n"
