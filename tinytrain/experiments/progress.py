"""How an experiment goes on: a bar for all of it and a line for each run, on standard error."""

from __future__ import annotations

from typing import Any, Self

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

from tinytrain.experiments.pool import Job


class ExperimentDisplay:
    """A context manager that is told how jobs go on; a `Monitor`.

    On a terminal the first bar counts runs and tells the time that is left, and each run that is
    going on has its own with its step and its accuracy. Anywhere else a plain line appears for each
    job that ended.

    Args:
        console: of standard error unless a test gives another.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        self._total = 0
        self._ended = 0
        self._bars: Progress | None = None
        self._all: TaskID | None = None
        self._tasks: dict[str, TaskID] = {}
        self._share: dict[str, float] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=24),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._console,
                # A run takes minutes, and so does the first of them.
                speed_estimate_period=3600,
            )
            self._bars.start()
            self._all = self._bars.add_task("all", total=self._total, note="")
        return self

    def __exit__(self, *error: object) -> None:
        if self._bars is not None:
            self._bars.stop()

    def expect(self, total: int) -> None:
        """See `Monitor`."""
        self._total = total
        if self._bars is not None and self._all is not None:
            self._bars.update(self._all, total=total)

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        """See `Monitor`."""
        if self._bars is None:
            return
        if job.title not in self._tasks:
            self._tasks[job.title] = self._bars.add_task(job.title, total=total, note=note)
        self._bars.update(self._tasks[job.title], completed=done, total=total, note=note)
        self._share[job.title] = done / max(total, 1)
        self._advance()

    def finished(self, job: Job, record: dict[str, Any]) -> None:
        """See `Monitor`."""
        curve = record.get("curve")
        if curve:
            self._end(job, f"accuracy {curve[-1]['accuracy']:.4f}", "")
        else:
            self._end(job, f"{record['ram']['total']:,} bytes of RAM", "")

    def failed(self, job: Job, reason: str) -> None:
        """See `Monitor`."""
        self._end(job, f"failed: {reason}", "red")

    def _end(self, job: Job, note: str, style: str) -> None:
        self._ended += 1
        self._share.pop(job.title, None)
        if self._bars is not None and job.title in self._tasks:
            self._bars.remove_task(self._tasks.pop(job.title))
        self._advance()
        line = Text(f"{self._ended}/{self._total} {job.title}: {note}", style=style)
        self._console.print(line, soft_wrap=True)

    def _advance(self) -> None:
        """Runs that are half done count as half a run, or the time left would jump."""
        if self._bars is not None and self._all is not None:
            self._bars.update(self._all, completed=self._ended + sum(self._share.values()))
