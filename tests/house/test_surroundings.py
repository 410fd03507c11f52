"""Tests that deal with processes, terminals and files pass wherever they are started from."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.surroundings import HANGS

FILES = (
    "tests/cli/test_parser.py",
    "tests/errors/test_output.py",
    "tests/examples/test_demonstration.py",
    "tests/report/test_facts.py",
    "tests/simulate/test_console.py",
    "tests/simulate/test_process.py",
    "tests/targets/test_toolchain.py",
)
HOSTILE = {
    "CC": "false",
    "CFLAGS": "-Wno-such-warning",
    "CI": "true",
    "COLUMNS": "30",
    "FORCE_COLOR": "1",
    "HOME": "/nonexistent",
    "LC_ALL": "POSIX",
    "MAKEFLAGS": "n",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONUTF8": "0",
    "TERM": "dumb",
    "TZ": "Asia/Kathmandu",
}
IGNORED = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM, signal.SIGPIPE)


def strange_parent() -> None:
    """As a job in the background may be started: nothing to read, nothing that ends it."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, IGNORED)
    os.umask(0o077)
    os.close(0)


@pytest.mark.slow
def test_what_is_around_them_changes_nothing(tmp_path: Path) -> None:
    temporary = tmp_path / "a folder, with blanks"
    temporary.mkdir()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    done = subprocess.run(
        [*command, *FILES],
        cwd=ROOT,
        env={**os.environ, **HOSTILE, "TMPDIR": str(temporary)},
        preexec_fn=strange_parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        timeout=HANGS,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:]
    assert " passed" in done.stdout
