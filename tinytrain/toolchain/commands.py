"""Finds and runs the commands of a toolchain: compilers, make, the emulator."""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tinytrain.errors import ToolchainError, Where
from tinytrain.tools import how_to_get


def require(command: str) -> str:
    """The path of a command.

    Raises:
        ToolchainError: it is not installed; names Debian's package.
    """
    found = shutil.which(command)
    if found is None:
        raise ToolchainError(
            f"the command '{command}' is not installed", help=how_to_get(Path(command).name)
        )
    return found


def version(compiler: str) -> bytes:
    """What a compiler says of itself."""
    command = shlex.split(compiler)
    require(command[0])
    try:
        result = subprocess.run(
            [*command, "--version"], stdin=subprocess.DEVNULL, capture_output=True
        )
    except OSError as error:
        raise _no_start(command[0], error) from error
    return result.stdout


def run(
    arguments: Sequence[str], directory: Path, environment: Mapping[str, str]
) -> tuple[int, str]:
    """Exit code and standard error of a command that may start others.

    It gets a process group of its own: interrupted, we end all of it, and no compiler that is left
    over goes on writing into a folder that is being removed.
    """
    try:
        process = subprocess.Popen(
            arguments,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise _no_start(arguments[0], error) from error
    with process:
        try:
            _, errors = process.communicate()
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, errors


def disk_full(errors: str, folder: Path) -> ToolchainError | None:
    """That there is no room for what a compiler makes, where its many lines say so.

    Args:
        errors: what it said, in the locale C.
        folder: that it writes into.
    """
    full = os.strerror(errno.ENOSPC)
    if full not in errors:
        return None
    return ToolchainError(
        f"the compiler cannot write: {full}", where=Where(str(folder)), help="make room on the disk"
    )


def _no_start(command: str, error: OSError) -> ToolchainError:
    return ToolchainError(
        f"the command '{command}' cannot be started: {error.strerror}",
        help="install it again, or name another",
    )
