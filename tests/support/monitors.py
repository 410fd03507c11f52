"""Who hears of jobs in the tests."""

from __future__ import annotations

from typing import Any

from tinytrain.experiments.pool import Job


class Heard:
    """A monitor that remembers."""

    def __init__(self) -> None:
        self.reports: list[tuple[str, str, int, int]] = []
        self.done: dict[str, Any] = {}
        self.failures: dict[str, str] = {}

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        self.reports.append((job.title, note, done, total))

    def finished(self, job: Job, record: dict[str, Any]) -> None:
        self.done[job.title] = record

    def failed(self, job: Job, reason: str) -> None:
        self.failures[job.title] = reason
