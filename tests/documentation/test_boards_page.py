"""docs/boards.md: each line is run, printed or marked as untried, as the mark behind it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.paths import ROOT
from tests.support.surroundings import HANGS, free_port

BLOCKS = re.findall(r"```text\n(.*?)```", (ROOT / "docs" / "boards.md").read_text("utf-8"), re.S)
LINE = re.compile(r"(?P<command>\S.*?)\s+# \[(?P<mark>run|printed|untried)\]")


def test_every_line_has_a_mark_and_a_board_takes_few() -> None:
    assert len(BLOCKS) == 5
    for block in BLOCKS:
        lines = block.splitlines()
        assert len(lines) < 15
        assert all(LINE.fullmatch(line) for line in lines), block


@pytest.mark.slow
@pytest.mark.parametrize("number", range(5))
def test_lines_do_what_their_marks_say(number: int, tmp_path: Path) -> None:
    if not (shutil.which("qemu-system-arm") and shutil.which("gdb-multiarch")):
        pytest.skip("needs qemu-system-arm and gdb-multiarch")
    shutil.copy(ROOT / "examples" / "digits" / "digits.onnx", tmp_path / "own.onnx")
    rng = np.random.default_rng(0)
    for name in ("learn", "judge"):
        x = rng.random((40, 1, 8, 8), dtype=np.float32)
        np.savez(tmp_path / f"{name}.npz", x=x, y=np.arange(40) % 10)
    port = free_port()
    emulator = None
    try:
        for line in BLOCKS[number].splitlines():
            found = LINE.fullmatch(line)
            assert found is not None
            words = shlex.split(found["command"].replace("tcp::3333", f"tcp:127.0.0.1:{port}"))
            if found["mark"] == "untried":
                continue
            if words[0].startswith("qemu"):
                emulator = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, cwd=tmp_path
                )
                time.sleep(1)
                continue
            if words[:2] == ["tinytrain", "flash"]:
                if found["mark"] == "printed":
                    words.append("--dry-run")
                else:
                    words += ["--port", f"127.0.0.1:{port}"]
            if "--program" in words:
                image = tmp_path / words[words.index("--program") + 1]
                image.parent.mkdir(parents=True)
                image.write_bytes(b"\xe9")
            assert words[0] == "tinytrain"
            done = subprocess.run(
                [sys.executable, "-m", "tinytrain.cli", *words[1:]],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=HANGS,
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
            if words[1] == "flash":
                assert "$ " in done.stdout
    finally:
        if emulator is not None:
            emulator.kill()
            emulator.communicate()
