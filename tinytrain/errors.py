"""Every error that tinytrain raises on purpose: what is wrong, where, and what helps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinytrain.naming import in_python


@dataclass(frozen=True)
class Where:
    """A place in what the user gave us: a file, and a node or field in it."""

    file: str | None = None
    node: str | None = None

    def __str__(self) -> str:
        return ", ".join(
            part for part in (self.file, f"node '{self.node}'" if self.node else None) if part
        )


class TinytrainError(Exception):
    """Base of all expected errors; the command line prints it and exits with `exit_code`.

    Sentences name an option by its flag. `str` gives them as Python names it, `on_command_line` as
    they are.

    Args:
        what: one sentence that says what is wrong.
        where: the file and node that it is about, if there are any.
        help: what the user can do about it.
        detail: lines shown between the sentence and the help (a listing, a table).
    """

    exit_code = 1

    def __init__(
        self,
        what: str,
        *,
        where: Where | None = None,
        help: str | None = None,
        detail: str | None = None,
    ) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.help = help
        self.detail = detail

    def __str__(self) -> str:
        return self._shown(in_python, lambda line: in_python(line, is_sentence=False))

    def on_command_line(self) -> str:
        """The error as whoever typed a command reads it."""
        return self._shown(str, str)

    def _shown(self, named: Callable[[str], str], listed: Callable[[str], str]) -> str:
        lines = [named(self.what)]
        if self.where is not None and str(self.where):
            lines.append(f"  at: {self.where}")
        if self.detail:
            lines += [f"  {listed(line)}" for line in self.detail.splitlines()]
        if self.help:
            lines.append(f"  help: {named(self.help)}")
        return "\n".join(map(_printable, lines))


def _printable(line: str) -> str:
    """Names come from files, and may hold line ends or what steers a terminal."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


class UsageError(TinytrainError):
    """An option, a combination of options or a folder makes no sense."""

    exit_code = 2


class ModelError(TinytrainError):
    """The model cannot be read, or holds what tinytrain does not support."""

    exit_code = 3


class DataError(TinytrainError):
    """A data file cannot be read, or does not fit the model."""

    exit_code = 4


class SchemeError(TinytrainError):
    """The update scheme does not fit the model."""

    exit_code = 5


class BudgetError(TinytrainError):
    """The result does not fit the RAM or flash of the target."""

    exit_code = 6


class ToolchainError(TinytrainError):
    """A compiler or an emulator is missing, or failed."""

    exit_code = 7


class RunError(TinytrainError):
    """Runs of an experiment failed; the others are done."""

    exit_code = 8


class InternalError(TinytrainError):
    """A pass broke its own contract; always a bug in tinytrain."""

    exit_code = 70


def refused(error: OSError) -> TinytrainError:
    """What the system refused, as a sentence."""
    return TinytrainError(
        f"the system refused: {error.strerror or error}",
        where=Where(str(error.filename)) if error.filename else None,
        help="make room on the disk, or check the permissions",
    )


ERRORS = (
    UsageError,
    ModelError,
    DataError,
    SchemeError,
    BudgetError,
    ToolchainError,
    RunError,
    InternalError,
)
"""By exit code; the first line of what each says of itself is in `tinytrain --help`."""
