"""Runs a tool that flashes, and tells by what it says whether it did."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Sequence

from tinytrain.errors import ToolchainError
from tinytrain.target.runner import FlashRunner

_DETAIL_LINES = 12


def run_runner(words: Sequence[str], row: FlashRunner, tell: Callable[[str], None]) -> None:
    """Runs one command of a runner to its end, and tells each line that it says.

    Args:
        words: the command.
        tell: called with each line.

    Raises:
        ToolchainError: it cannot start or fails, by its exit code or by what it says.
    """
    lines: list[str] = []
    try:
        process = subprocess.Popen(
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except OSError as error:
        raise ToolchainError(f"'{words[0]}' cannot be started: {error.strerror}") from error
    with process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                lines.append(line.rstrip())
                tell(f"  {lines[-1]}")
        except BaseException:
            process.kill()
            raise
    said = "\n".join(lines)
    away = re.search(row.unreached, said, re.MULTILINE) if row.unreached else None
    if away is not None:
        raise ToolchainError(
            f"'{row.name}' did not flash the board: nobody answers at {away[0].rstrip('.')}",
            help=row.before or None,
        )
    wrong = process.returncode != 0 or (row.done and not re.search(row.done, said))
    if wrong or (row.failed and re.search(row.failed, said)):
        raise ToolchainError(
            f"'{row.name}' did not flash the board",
            detail="\n".join(lines[-_DETAIL_LINES:]) or None,
            help=row.before or "look at the plug, at the probe, and at what the tool says above",
        )
