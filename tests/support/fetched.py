"""What tests fetch from a package index stays in `build`, and comes there once."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.paths import ROOT


@contextmanager
def fetching(name: str) -> Iterator[Path]:
    """The folder `build/NAME`; no other process of the tests is here with that name meanwhile."""
    place = ROOT / "build" / name
    place.mkdir(parents=True, exist_ok=True)
    with (place.parent / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield place
