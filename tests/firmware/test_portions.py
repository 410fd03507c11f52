"""The C interface of a step in portions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link

OPTIONS: dict[str, dict[str, Any]] = {
    "whole nodes": {"portions": 1.0},
    "finest": {"portions": 1e-9},
    "schedule": {"portions": 0.01, "schedule": "cosine:30", "warm_up": 3},
    "window": {"portions": 0.02, "momentum": 0.9, "accumulate": 3, "clip_norm": 1.0},
    "last": {"portions": 0.05, "scheme": "last-1", "health": False},
}


@pytest.mark.parametrize("options", OPTIONS)
def test_portions(options: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", **{"scheme": "full", "learning_rate": 0.01, **OPTIONS[options]})
    window = OPTIONS[options].get("accumulate", 1)
    flags = (*SANITIZERS, f"-DWINDOW={window}U", f"-DAPPLIED={8 if window > 1 else 0}U")
    assert link("portions.c", [folder], tmp_path, flags=flags).run() == "ok\n"
