"""Files and folders that a command writes where the user says: files whole, or not at all."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tinytrain.errors import UsageError, Where


def check_writable(path: Path, *read: str | Path | None) -> None:
    """Refuses, before a long session, a file that could not be written after it.

    Args:
        read: files that the command reads, which it must not overwrite; None for one not given.

    Raises:
        UsageError: it is a folder or read-only, its folder is not there or cannot be written, or it
            is one of those that are read.
    """
    why = _unwritable(path)
    if why is not None:
        raise UsageError(f"'{path}' cannot be written: {why}", help="name another file")
    if any(_is_one_file(path, Path(place)) for place in read if place is not None):
        raise UsageError(
            f"'{path}' is read by this command, and would be overwritten", help="name another file"
        )


def _unwritable(path: Path) -> str | None:
    """Why a file cannot be written, as far as that can be told without writing."""
    try:
        if path.is_dir():
            return "it is a folder"
        place = path.absolute().parent
        if not place.is_dir() or not os.access(place, os.W_OK):
            return "its folder is missing or not writable"
        # A file that is replaced asks nobody: who made it read-only wants to keep it.
        return "it is read-only" if path.exists() and not os.access(path, os.W_OK) else None
    except OSError as error:
        return str(error.strerror)


def _is_one_file(path: Path, other: Path) -> bool:
    """Whether two names lead to the same file; a pipe or a device can be read and written."""
    return path.is_file() and other.is_file() and path.samefile(other)


def make_folder(folder: Path, flags: str, what: str = "the folder cannot be written") -> None:
    """Makes a folder where it is not there, and those that it lies in.

    Args:
        flags: options that name another one.
        what: the sentence where it fails, without the reason.

    Raises:
        UsageError: the system refuses.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"{what}: {error.strerror}",
            where=Where(str(folder)),
            help=f"name another one with {flags}",
        ) from error


def write_file(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all; a pipe or a device as it comes.

    Raises:
        UsageError: the system refuses.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        if path.exists() and not path.is_file():
            path.write_bytes(data)
            return
        try:
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise UsageError(
            f"'{path}' cannot be written: {error.strerror}",
            help="name another file, or make room there",
        ) from error


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A temporary folder, which goes at the end.

    Raises:
        UsageError: it cannot be made or written.
    """
    place = Path("TMPDIR")
    try:
        place = Path(tempfile.gettempdir())
        made = tempfile.TemporaryDirectory(prefix="tinytrain-")
    except OSError as error:
        raise _no_scratch(str(error.strerror), place) from error
    with made as folder:
        try:
            yield Path(folder)
        except UsageError as error:
            if error.where is None or not str(error.where.file).startswith(folder):
                raise
            # Nobody named this folder, so that no option names another.
            raise _no_scratch(error.what.rpartition(": ")[2], place) from error
        except OSError as error:
            # What else is written beside it names its own file.
            elsewhere = error.filename and not str(error.filename).startswith(folder)
            if elsewhere or error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            raise _no_scratch(str(error.strerror), place) from error


def _no_scratch(reason: str, place: Path) -> UsageError:
    return UsageError(
        f"temporary files cannot be written: {reason}",
        where=Where(str(place)),
        help="make room there, or name another folder in the environment variable TMPDIR",
    )
