"""A moment of a script that throws damaged files at the compiler."""

from __future__ import annotations

import subprocess
import sys

from tests.support.paths import ROOT


def told_by(script: str, cases: int) -> str:
    """What a script of `scripts` prints about its first cases, none of which is a finding."""
    command = [sys.executable, str(ROOT / "scripts" / script), "--cases", str(cases)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{cases} cases of seed 0" in done.stdout
    return done.stdout
