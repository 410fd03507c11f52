"""What `make fuzz` runs for long, for a moment: the seeds, and some inputs made of them."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.fuzzing import (
    FOLDER,
    MODELS,
    TARGETS,
    Target,
    built,
    declared,
    functions,
    generated,
)
from tests.support.surroundings import HANGS

NOT_CALLED = {
    "keep_frozen": "for a simulation on a host alone",
    "use_frozen": "for a simulation on a host alone",
    "self_test": "takes nothing from outside",
    "switch": "for a search on a host alone",
}
"""Functions of a model that no program calls, and why."""

TRIED = ("flash", "rows", "portions", "kept", "nearest", "unlabelled")
"""Models that are tried here; `make fuzz` takes all of them."""

_PROGRAMS = "".join(
    file.read_text(encoding="utf-8") for file in sorted((FOLDER / "programs").glob("*.[ch]"))
)
CALLED = set(re.findall(r"\bm_(\w+)\(", _PROGRAMS))

needs_clang = pytest.mark.skipif(shutil.which("clang") is None, reason="there is no clang")


def run(target: Target, model: str, place: Path, inputs: int) -> None:
    """Seeds first, then inputs that libFuzzer makes of them, the same ones each time."""
    program = built(target, generated(model, place), place)
    new = place / "new"
    new.mkdir()
    command = [str(program), f"-runs={inputs}", "-seed=1", f"-max_len={target.longest}", str(new)]
    done = subprocess.run(
        [*command, str(target.corpus)],
        cwd=place,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-6000:]
    assert re.search(r"Done \d+ runs", done.stderr), done.stderr


@needs_clang
@pytest.mark.parametrize(
    ("target", "model"),
    [
        pytest.param(target, model, marks=() if target.needs else pytest.mark.slow)
        for target in TARGETS
        for model in target.models
        if target.needs or model in TRIED
    ],
    ids=lambda one: one if isinstance(one, str) else one.program,
)
def test_nothing_ends_badly(target: Target, model: str, tmp_path: Path) -> None:
    run(target, model, tmp_path, 2000)


def test_every_function_that_a_model_may_have_is_called() -> None:
    found = declared()
    assert {"infer", "load", "guard_look", "enrol"} <= found
    assert found - CALLED - {"input", "quantize_input"} == set(NOT_CALLED)


@pytest.mark.slow
def test_every_call_is_one_of_some_model(tmp_path: Path) -> None:
    found: set[str] = set()
    for model in MODELS:
        for header in (generated(model, tmp_path) / "src").glob("m*.h"):
            found |= functions(header.read_text(encoding="utf-8"))
    assert CALLED - found <= {"input0", "input1", "quantize_input0", "quantize_input1"}


def test_each_target_has_seeds_and_they_are_small() -> None:
    for target in TARGETS:
        sizes = [file.stat().st_size for file in target.corpus.iterdir()]
        assert sizes and max(sizes) <= target.longest, target.program
        assert sum(sizes) <= 64 * 1024, target.program
