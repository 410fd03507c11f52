"""Files and folders that a command writes where the user says: files whole, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from tinytrain.errors import UsageError, Where


def check_writable(path: Path) -> None:
    """Refuses, before a long session, a file that could not be written after it.

    Raises:
        UsageError: it is a folder, or its folder is not there or cannot be written.
    """
    if path.is_dir() or not os.access(path.absolute().parent, os.W_OK):
        raise UsageError(
            f"'{path}' cannot be written: "
            + ("it is a folder" if path.is_dir() else "its folder is missing or not writable"),
            help="name another file",
        )


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
        raise UsageError(f"'{path}' cannot be written: {error.strerror}") from error
