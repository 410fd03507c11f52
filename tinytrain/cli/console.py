"""What a person sees: progress and errors on standard error, tables on standard output."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from tinytrain.errors import TinytrainError
from tinytrain.naming import as_written

PLAIN_LINES = 10
"""Lines for each stage where there is no terminal."""


class ProgressDisplay:
    """Shows stages as they go on; a context manager whose `update` is a session's progress.

    On a terminal each stage has a bar. Anywhere else a plain line appears each time another tenth
    of a stage is done. All of it goes to standard error, so that standard output stays for the
    result.

    Args:
        console: of standard error unless a test gives another.
        quiet: True shows nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shown: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._bars = Progress(
                TextColumn("{task.description:<16}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, stage: str, done: int, total: int, note: str) -> None:
        """Show that `done` of `total` items of a stage are done; `note` says how it goes."""
        if self._quiet:
            return
        if self._bars is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
            self._bars.update(self._tasks[stage], completed=done, note=note)
            return
        part = PLAIN_LINES * done // max(total, 1)
        if part > self._shown.get(stage, 0):
            self._shown[stage] = part
            line = f"{stage} {done}/{total} {note}".rstrip()
            self._console.print(Text(line), soft_wrap=True)

    def warn(self, sentence: str) -> None:
        """Show a warning, above the bars where there are some."""
        print_warnings([sentence], self._console)


def print_error(error: TinytrainError, console: Console | None = None) -> None:
    """An expected error, on standard error."""
    _print_sentence("error", "bold red", error.on_command_line(), console)


def print_warnings(warnings: Sequence[str], console: Console | None = None) -> None:
    """Sentences on what is known to fail, on standard error."""
    for sentence in warnings:
        _print_sentence("warning", "bold yellow", as_written(sentence), console)


def print_notes(notes: Sequence[str]) -> None:
    """Sentences on what was done to a model on the way in, on standard error."""
    for sentence in notes:
        _print_sentence("note", "bold", as_written(sentence), None)


def _print_sentence(kind: str, style: str, sentence: str, console: Console | None) -> None:
    text = Text(f"{kind}: ", style=style) + Text(sentence, style="default")
    (console or Console(stderr=True)).print(text, soft_wrap=True)


def print_table(table: Table) -> None:
    """A table, on standard output."""
    Console(file=sys.stdout).print(table)


def print_json(value: Any) -> None:
    """A JSON value, on standard output."""
    print(json.dumps(value, indent=2))
