"""The C interface of a guard: callbacks that fail, torn files, a reset, and what it costs."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.support.host_programs import SANITIZERS, Compile, link


@pytest.mark.parametrize("scheme", ["head", pytest.param("last-1", marks=pytest.mark.slow)])
def test_guard(scheme: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", scheme=scheme, guard=5, schedule="constant")
    header = (folder / "src" / "small.h").read_text(encoding="utf-8")
    # The first region of a saved file.
    first = re.search(r"tt_step step;(?:\s+tt_scale scales\[\d+\];)?\s+\w+ (\w+)\[", header)
    assert first is not None
    flags = (*SANITIZERS, f"-DGUARD_WEIGHTS={first[1]}")
    assert link("guard.c", [folder], tmp_path, flags=flags).run() == "ok\n"


def test_what_it_costs(generated: Compile) -> None:
    with_one, without = (
        json.loads((generated("small", scheme="head", guard=n) / "manifest.json").read_text())
        for n in (5, 0)
    )
    ram = with_one["guard"]["ram"]
    assert without["guard"] is None and "guard" not in without["ram"]
    assert with_one["ram"]["guard"] == ram
    assert with_one["saved_bytes"] - without["saved_bytes"] == ram
    assert with_one["flash"]["code"] > without["flash"]["code"]
