"""What the workflows of examples/ci call, with QEMU's UART behind a pseudo-terminal."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from examples.ci import board
from tests.support.boards import DIGITS, X, Y
from tests.support.paths import ROOT
from tinytrain.errors import UsageError
from tinytrain.target import load_target
from tinytrain.tools import tool_of

PLACE = ROOT / "examples" / "ci"


@pytest.fixture
def given(tmp_path: Path) -> list[str]:
    data = tmp_path / "data.npz"
    np.savez(data, x=X, y=Y)
    return ["--model", str(DIGITS), "--data", str(data), "--calibration", str(data)]


@pytest.mark.slow
def test_a_board_learns_what_this_machine_learns(
    given: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("qemu-system-arm") is None:
        pytest.skip("qemu-system-arm is missing")
    assert board.main([*given, "--target", "mps2-an500", "--qemu", "mps2-an500"]) == 0
    said = capsys.readouterr().out
    here, there = (re.search(rf"{one}: +([0-9a-f]{{64}})", said) for one in ("here", "board"))
    assert here and there and here[1] == there[1]
    assert "ms a step" in said


@pytest.mark.parametrize("name", ["github", "gitlab"])
def test_workflows_call_what_there_is(name: str) -> None:
    text = (PLACE / f"{name}.yml").read_text(encoding="utf-8")
    jobs = yaml.safe_load(text)
    jobs = jobs["jobs"] if name == "github" else jobs
    assert {"simulators", "board"} <= set(jobs)
    calls = re.findall(r"python board\.py \$MODEL (.*(?:\n +--(?:flash|runner) .*)?)", text)
    assert len(calls) == 2 and "--qemu" in calls[0]
    for call in calls:
        words = call.replace("$TARGET", "mps2-an500")
        words = re.sub(r"\$\{\{.*?\}\}", "mps2-an500", words)
        flags = re.findall(r"--[a-z]+", words.split('"')[0])
        assert set(flags) <= {"--target", "--qemu", "--port", "--flash", "--runner"}
    (target,) = re.findall(r"--target (\S+)", calls[1])
    (runner,) = re.findall(r"--runner (\S+)", calls[1])
    facts = load_target(target).board
    assert facts is not None and runner in facts.runners and tool_of(runner) is not None
    assert f"'tinytrain[serial,{tool_of(runner).extra}]'" in text


def test_a_runner_puts_the_folder_on_the_board(
    given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as that goes without a board: it is built for it, and given to the runner."""
    flashed: list[object] = []
    monkeypatch.setattr(board.tinytrain, "flash", lambda folder, **how: flashed.append(how))
    command = [*given, "--target", "nucleo-h743zi", "--port", "socket://none", "--runner", "pyocd"]
    with pytest.raises(UsageError, match="names no host with a port"):
        board.main([*command, "--scheme", "head", "--steps", "1"])
    assert flashed == [{"runner": "pyocd"}]
