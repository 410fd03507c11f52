"""Jobs, what does them, and who hears of them: the one loop of experiments and searches."""

from __future__ import annotations

import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Protocol, Self

from tinytrain.errors import TinytrainError, refused
from tinytrain.experiments.inputs import Input
from tinytrain.tools import how_to_get, tool_of

Report = Callable[[str, int, int], None]
Work = Callable[[Report], dict[str, Any]]
"""What a job does, picklable: gets where to report a note and steps done of all steps."""


Outcome = tuple[Literal["done"], dict[str, Any]] | tuple[Literal["failed"], str]
"""How work ended: its record, or the reason."""


@dataclass(frozen=True)
class Needs:
    """What work needs beside itself, for a machine that is not this one.

    Attributes:
        inputs: files and folders that the work names as a `Path` and reads. Another machine gets
            them once by their content, and the work finds the paths that they have there.
        cache: folder that the work names as a `Path` and shares with other jobs; each machine has
            one of its own in its place.
        packages: Python packages whose version decides what the work gives.
    """

    inputs: tuple[Input, ...] = ()
    cache: Path | None = None
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Job:
    """One piece of work with the name that people see; done twice, it gives the same."""

    title: str
    work: Work
    needs: Needs = field(default_factory=Needs)


@dataclass(frozen=True)
class Event:
    """Something about a job: a note with steps done of all steps, or its end."""

    job: Job
    what: tuple[Literal["report"], tuple[str, int, int]] | Outcome


class Workers(Protocol):
    """They do jobs, several at a time; a context manager, after which they do none."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def has_room(self) -> bool:
        """Whether a job would start at once."""
        ...

    def is_busy(self) -> bool:
        """Whether a job is going on."""
        ...

    def start(self, job: Job) -> None:
        """Begin a job."""
        ...

    def wait(self) -> Iterator[Event]:
        """Waits until something happens, or for a moment; gives what happened."""
        ...

    def cancel(self) -> None:
        """Give up the jobs that are going on; nothing more is heard of them."""
        ...


class Monitor(Protocol):
    """Is told how jobs go on."""

    def expect(self, total: int) -> None:
        """So many jobs are to be done."""
        ...

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        """A job has got so far."""
        ...

    def finished(self, job: Job, record: dict[str, Any]) -> None:
        """A job is done."""
        ...

    def failed(self, job: Job, reason: str) -> None:
        """A job did not reach its end."""
        ...


class Unmonitored:
    """A `Monitor` that does not listen."""

    def expect(self, total: int) -> None:
        """See `Monitor`."""

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        """See `Monitor`."""

    def finished(self, job: Job, record: dict[str, Any]) -> None:
        """See `Monitor`."""

    def failed(self, job: Job, reason: str) -> None:
        """See `Monitor`."""


def run_jobs(
    jobs: Sequence[Job],
    workers: Workers,
    monitor: Monitor,
    then: Callable[[Job], Sequence[Job]],
) -> None:
    """Run jobs as many at a time as the workers have room for.

    Whatever ends this early, an interruption or a disk that is full, cancels the jobs that are
    going on. The workers can do others after it.

    Args:
        jobs: in the order in which they start.
        monitor: hears of the end of a job before `then` is asked.
        then: which jobs come after one that ended, before those that wait.
    """
    waiting = deque(jobs)
    try:
        while waiting or workers.is_busy():
            while waiting and workers.has_room():
                workers.start(waiting.popleft())
            for event in workers.wait():
                job, what = event.job, event.what
                if what[0] == "report":
                    monitor.report(job, *what[1])
                    continue
                if what[0] == "done":
                    monitor.finished(job, what[1])
                else:
                    monitor.failed(job, what[1])
                waiting.extendleft(reversed(then(job)))
    finally:
        workers.cancel()


def reasons(failures: Sequence[tuple[str, str]]) -> str:
    """Titles and reasons of jobs that failed, as lines; a reason of many jobs once."""
    titles: dict[str, list[str]] = {}
    for title, reason in failures:
        titles.setdefault(reason, []).append(title)
    lines = []
    for reason, (first, *others) in titles.items():
        more = f" and {len(others)} more" if others else ""
        lines.append(f"{first}{more}: {reason}")
    return "\n".join(lines)


def attempt(work: Work, report: Report) -> Outcome:
    """Do a job's work; what goes wrong is a reason, so that it does not end the others."""
    try:
        return "done", work(report)
    except TinytrainError as error:
        return "failed", str(error)
    except MemoryError:
        return "failed", "this machine has too little memory for that"
    except OSError as error:
        return "failed", str(refused(error))
    except ModuleNotFoundError as error:
        if error.name is None or tool_of(error.name) is None:
            return "failed", _bug()
        missing = f"Python's package '{error.name}' is not installed"
        return "failed", f"{missing}\n  help: {how_to_get(error.name)}"
    # A bug in one run must not end the others; its trace is shown with the failure.
    except Exception:
        return "failed", _bug()


def _bug() -> str:
    return f"this is a bug in tinytrain\n{traceback.format_exc().rstrip()}"
