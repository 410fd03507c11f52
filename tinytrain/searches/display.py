"""How a search goes on: stages, and a bar of all trainings with the time left."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

PLAIN_EVERY = 20
"""Trainings between two lines where there is no terminal."""


class SearchDisplay:
    """A context manager that is told how a search goes on; a `Listener`.

    Args:
        console: of standard error unless a test gives another.
        quiet: True shows nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._task: TaskID | None = None
        self._done = 0
        self._total = 0

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._bars = Progress(
                TextColumn("trainings"),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._console,
                speed_estimate_period=600,
            )
            self._bars.start()
            self._task = self._bars.add_task("trainings", total=None, note="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def stage(self, what: str) -> None:
        """See `Listener`."""
        self._say(what)

    def expect(self, total: int) -> None:
        """See `Listener`."""
        self._total = total
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, total=total)

    def begun(self, title: str) -> None:
        """See `Listener`."""
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, note=title)

    def ended(self, title: str, note: str) -> None:
        """See `Listener`."""
        self._done += 1
        if self._bars is not None and self._task is not None:
            self._bars.update(self._task, completed=self._done, total=max(self._total, self._done))
        elif self._done % PLAIN_EVERY == 0 and not self._quiet:
            self._console.print(
                Text(f"training {self._done}/{self._total} {title}: {note}"), soft_wrap=True
            )

    def _say(self, what: str) -> None:
        if self._quiet:
            return
        if self._bars is not None:
            self._bars.console.print(Text(what))
        else:
            self._console.print(Text(what), soft_wrap=True)
