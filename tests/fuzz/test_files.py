"""Damaged data and saved files, a moment of `scripts/fuzz_files.py`."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT


def test_every_file_is_read_or_refused() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "fuzz_files.py"), "--cases", "600"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "600 cases of seed 0" in done.stdout
    assert "'refused'" in done.stdout and "'read'" in done.stdout
