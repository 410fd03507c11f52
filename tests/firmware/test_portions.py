"""The C interface of a step in portions."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.emulated_programs import execute
from tests.support.host_programs import PROGRAMS, SANITIZERS, Compile, link
from tinytrain.compiler.options import Options
from tinytrain.errors import UsageError
from tinytrain.target import load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import MAIN

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


def test_the_header_says_in_a_table_what_may_be_called(generated: Compile) -> None:
    folder = generated("small", **{"scheme": "full", "learning_rate": 0.01, "portions": 0.01})
    header = (folder / "src" / "small.h").read_text(encoding="utf-8")
    rows = re.findall(r"^ \* {5}(\S.*?) {2,}(\S.*?) {2,}(\S.*)$", header, flags=re.MULTILINE)
    assert [len(row) for row in rows] == [3] * 9
    assert ("step_progress", "yes", "yes") in rows
    assert rows[-1] == ("every other one with a status", "no: TT_ERROR_STEP", "no")


@pytest.mark.parametrize(
    "given",
    [
        {"enrol": "ncm"},
        {"pseudo_labels": True},
        {"follow": "3"},
        {"anomaly": "diagonal"},
    ],
    ids=lambda given: next(iter(given)),
)
def test_what_runs_layers_at_once_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="portions= does not cut") as refused:
        Options(portions=0.01, **given)
    assert "help: leave out one of both" in str(refused.value)


def test_rows_are_refused_while_a_step_runs(generated: Compile, tmp_path: Path) -> None:
    options = {"scheme": "last-1", "feed": "rows", "portions": 0.01, "learning_rate": 0.01}
    folder = generated("small", **options)
    assert link("portions_rows.c", [folder], tmp_path, flags=SANITIZERS).run() == "ok\n"


def test_states_share_nothing_between_threads(generated: Compile, tmp_path: Path) -> None:
    """Under the thread sanitizer."""
    folder = generated("small", scheme="full", learning_rate=0.01, portions=1e-9)
    flags = ("-g", "-O1", "-fsanitize=thread", "-pthread")
    try:
        program = link("portions_threads.c", [folder], tmp_path, flags=flags)
    except subprocess.CalledProcessError:
        pytest.skip("gcc has no thread sanitizer")
    # The sanitizer wants its addresses where they always are.
    done = subprocess.run(
        ["setarch", "-R", str(program.path)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr[-3000:]


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is missing")
def test_an_interrupt_infers_in_the_middle_of_a_step(generated: Compile, tmp_path: Path) -> None:
    """With another state, at a few hundred places of twelve steps."""
    target = load_target("mps2-an500")
    made = generated("small", target=target.name, scheme="full", portions=1e-9, learning_rate=0.01)
    folder = tmp_path / "model"
    shutil.copytree(made, folder)
    (folder / MAIN).write_text((PROGRAMS / "portions_interrupt.c").read_text())
    shutil.copy(PROGRAMS / "small_samples.h", folder / "src")
    program = build(folder, target, name="small", variant="interrupt")
    done = execute(program, target, tmp_path / "run")
    assert (done.code, done.lines) == (0, ["ok"]), done
