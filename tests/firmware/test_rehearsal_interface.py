"""The C interface of a rehearsal set, and what it costs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from tests.support.host_programs import Compile, link
from tests.support.onnx_models import CLASSES

X = np.random.default_rng(0).standard_normal((30, 3, 6, 6)).astype(np.float32)
OLD = (X, np.arange(30) % (CLASSES - 1))
"""Samples of all classes but the last."""


def test_rehearsal(generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", scheme="full", rehearse=OLD, rehearsal_slots=9)
    assert link("rehearsal.c", [folder], tmp_path).run() == "ok\n"


def test_what_a_sample_costs(generated: Compile) -> None:
    """In flash its bytes; of RAM four in all."""
    held = {}
    for slots in (0, 10, 30):
        asked = {"rehearse": OLD, "rehearsal_slots": slots} if slots else {}
        folder = generated("small", scheme="last-1", **asked)
        held[slots] = json.loads((folder / "manifest.json").read_text())
    assert held[0]["rehearsal"] is None and "rehearsal set" not in held[0]["flash"]
    grown = held[30]["flash"]["rehearsal set"] - held[10]["flash"]["rehearsal set"]
    assert grown == 20 * held[10]["frozen_bytes"]
    assert held[30]["ram"]["total"] == held[10]["ram"]["total"]
    assert held[10]["saved_bytes"] - held[0]["saved_bytes"] == 4
    state = {slots: one["ram"]["other state"] for slots, one in held.items()}
    # Beside the number in the state, what the main program needs for itself, aligned.
    assert 4 <= state[10] - state[0] <= 64
