"""Files that are computed once, whoever needs them first, and then shared."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


def computed_once(path: Path, compute: Callable[[Path], None]) -> Path:
    """A file that `compute` writes where it is not there yet.

    Processes that want the same file wait for the one that computes it. It appears whole or not at
    all.

    Args:
        compute: gets the path of a temporary file in the same folder.
    """
    return _once(path, lambda: write_whole(path, compute))


def folder_once(path: Path, fill: Callable[[Path], None]) -> Path:
    """`computed_once` for a folder.

    Args:
        fill: gets the path of an empty folder beside it.
    """

    def make() -> None:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as place:
            made = Path(place, "made")
            made.mkdir()
            fill(made)
            made.replace(path)

    return _once(path, make)


def write_whole(path: Path, write: Callable[[Path], None]) -> None:
    """Replace a file by what `write` writes into a temporary one."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    os.close(handle)
    made = Path(name)
    try:
        write(made)
        made.chmod(0o644)
        made.replace(path)
    except OSError as error:
        # A write that is refused does not say where.
        if error.filename is None:
            error.filename = str(path)
        raise
    finally:
        made.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """`write_whole` for text."""

    def write(made: Path) -> None:
        made.write_text(text, encoding="utf-8")

    write_whole(path, write)


def _once(path: Path, make: Callable[[], None]) -> Path:
    if path.exists():
        return path
    locks = path.parent / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    # A lock's file stays: removed, it could be held by one process and made anew by another.
    with _locked(locks / path.name):
        if not path.exists():
            make()
    return path


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Holds a lock that ends with the process that has it."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
