"""Jobs that a cluster of the tests does."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

from tinytrain.errors import DataError, Where
from tinytrain.experiments.pool import Report


def read(path: Path, cache: Path, report: Report) -> dict[str, Any]:
    """What is in a file, and where it lay."""
    (cache / "found").write_text(path.read_text())
    threads = os.environ["OMP_NUM_THREADS"]
    return {"text": path.read_text(), "places": (str(path), str(cache)), "threads": threads}


def refuse(path: Path, report: Report) -> dict[str, Any]:
    """What is wrong with a file."""
    raise DataError("this file is wrong", where=Where(str(path)))


def die_once(mark: Path, report: Report) -> dict[str, Any]:
    """Takes its process along the first time."""
    if not mark.exists():
        mark.touch()
        die(report)
    return {"value": 1}


def die(report: Report) -> dict[str, Any]:
    """Takes its process along."""
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def wait(seconds: float, report: Report) -> dict[str, Any]:
    """Tells how it goes on."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        report("waiting", 1, 2)
        time.sleep(0.1)
    return {}


def wait_or_tell(mark: Path, report: Report) -> dict[str, Any]:
    """Waits for long, and leaves a file where it is told to end."""
    try:
        report("waiting", 1, 2)
        wait(60, lambda *_: None)
    finally:
        mark.touch()
    return {}
