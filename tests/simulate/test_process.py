"""Firmware that does not do what it should: crash, hang, chatter, vanish."""

from __future__ import annotations

import re
import selectors
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.surroundings import HANGS, is_alive
from tinytrain.data import Dataset, SampleSpec
from tinytrain.errors import ToolchainError
from tinytrain.simulation.engine import ignore_progress
from tinytrain.simulation.process import run_session
from tinytrain.simulation.stream import SampleStream

SPEC = SampleSpec((1, 1, 1, 3), (1, 3), "NC", 2, 2, scale=1.0)
DATA = Dataset(SPEC, np.zeros((1, 1, 1, 3), np.float32), np.zeros(1, np.int32))


def run(folder: Path, script: str, *, silence_limit: float = 30.0) -> None:
    plan = SampleStream(DATA, np.zeros(2, np.int64), parameters_in=b"parameters")
    run_session(
        [sys.executable, "-c", script], folder, plan, ignore_progress, silence_limit=silence_limit
    )


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("pass", "the firmware ended before its work was done"),
        ("print('done')", "the firmware ended before its work was done"),
        ("print('Lockup'); raise SystemExit(3)", "ended with exit code 3"),
        ("import os; os.abort()", r"crashed \(signal 6\)"),
        ("print('error infer 4'); raise SystemExit(1)", "stopped with TT_ERROR_IO in 'infer'"),
        ("print('step 7 loss 0x3f800000 instructions 0x' + 16 * '0')", "'step 7' out of order"),
        ("open('parameters_out.bin', 'wb')", "before its work was done"),
    ],
)
def test_bad_ends(tmp_path: Path, script: str, message: str) -> None:
    with pytest.raises(ToolchainError, match=message):
        run(tmp_path, script)


def test_last_lines_are_shown_as_text(tmp_path: Path) -> None:
    script = (
        "import sys; [print('line', i) for i in range(100)]; sys.stdout.flush(); "
        "sys.stdout.buffer.write(b'no \\x1b[2J \\xff end'); sys.exit(1)"
    )
    with pytest.raises(ToolchainError) as caught:
        run(tmp_path, script)
    lines = str(caught.value).splitlines()
    assert "  line 99" in lines and "  line 5" not in lines
    assert lines[-1] == "  no ?[2J \ufffd end"


class Patient(selectors.DefaultSelector):
    """Waits for a program's first words as long as it takes: how fast it starts is not the test."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = False

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(timeout if self.heard else HANGS)
        self.heard = True
        return found


@pytest.mark.parametrize(
    "end",
    ["", "os.close(1); os.close(2); "],
    ids=["silent", "closed"],
)
def test_hanging_firmware_is_ended(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(selectors, "DefaultSelector", Patient)
    script = f"import os, time; print('I am', os.getpid(), flush=True); {end}time.sleep({HANGS})"
    with pytest.raises(ToolchainError, match=r"was silent for|did not end") as caught:
        run(tmp_path, script, silence_limit=1.0)
    (pid,) = re.findall(r"I am (\d+)", str(caught.value))
    assert not is_alive(int(pid))


def test_endless_line_does_not_fill_the_memory(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError) as caught:
        run(
            tmp_path, "import sys; [sys.stdout.write('x' * 65536) for _ in range(300)]; sys.exit(1)"
        )
    assert len(str(caught.value)) < 10_000


def test_files_lie_in_the_working_directory(tmp_path: Path) -> None:
    with pytest.raises(ToolchainError):
        run(tmp_path, "import os; print(os.getcwd())")
    assert (tmp_path / "parameters_in.bin").read_bytes() == b"parameters"
    assert (tmp_path / "stream.bin").stat().st_size == 36 + 2 * (3 + 4)


def test_missing_program(tmp_path: Path) -> None:
    plan = SampleStream(DATA, np.zeros(0, np.int64))
    with pytest.raises(ToolchainError, match="'/no/such/program' cannot be started: No such file"):
        run_session(["/no/such/program"], tmp_path, plan, ignore_progress)


def test_no_room_for_the_stream(tmp_path: Path) -> None:
    plan = SampleStream(DATA, np.zeros(0, np.int64))
    with pytest.raises(ToolchainError, match="files cannot be written"):
        run_session([sys.executable], tmp_path / "missing", plan, ignore_progress)
