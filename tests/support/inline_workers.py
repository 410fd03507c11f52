"""Workers that do one job after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from tinytrain.experiments.pool import Event, Job, attempt


class Inline:
    """`Workers`.

    Args:
        before: is called with each job before it is done.
    """

    def __init__(self, before: Callable[[Job], None] = lambda job: None) -> None:
        self.jobs: list[Job] = []
        self.before = before

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()

    def has_room(self) -> bool:
        """See `Workers`."""
        return not self.jobs

    def is_busy(self) -> bool:
        """See `Workers`."""
        return bool(self.jobs)

    def start(self, job: Job) -> None:
        """See `Workers`."""
        self.jobs.append(job)

    def wait(self) -> Iterator[Event]:
        """See `Workers`."""
        job = self.jobs.pop()
        self.before(job)
        yield Event(job, attempt(job.work, lambda note, done, total: None))

    def cancel(self) -> None:
        """See `Workers`."""
        self.jobs = []
