"""Jobs over all cores, each in a process that may fail without taking the others along."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from tinytrain.errors import TinytrainError

Report = Callable[[str, int, int], None]
Work = Callable[[Report], dict[str, Any]]
"""What a job does, picklable: gets where to report a note and steps done of all steps."""

_PATIENCE = 10.0
"""Seconds that a worker has to end when it is told to."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Job:
    """One piece of work with the name that people see."""

    title: str
    work: Work


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
    workers: int,
    monitor: Monitor,
    then: Callable[[Job], Sequence[Job]],
) -> None:
    """Run jobs in as many processes as there are workers.

    Args:
        jobs: in the order in which they start.
        monitor: hears of the end of a job before `then` is asked.
        then: which jobs come after one that ended, before those that wait.
    """
    waiting = deque(jobs)
    free: list[_Worker] = []
    busy: dict[Connection, _Worker] = {}
    try:
        while waiting or busy:
            while waiting and len(busy) < workers:
                worker = free.pop() if free else _Worker()
                worker.start(waiting.popleft())
                busy[worker.connection] = worker
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker = busy[ready]
                assert worker.job is not None
                try:
                    kind, value = ready.recv()
                except (EOFError, OSError):
                    kind, value = "failed", worker.fate()
                if kind == "report":
                    monitor.report(worker.job, *value)
                    continue
                job, worker.job = worker.job, None
                del busy[ready]
                if worker.is_alive():
                    free.append(worker)
                if kind == "done":
                    monitor.finished(job, value)
                else:
                    monitor.failed(job, value)
                waiting.extendleft(reversed(then(job)))
    finally:
        _end([*free, *busy.values()])


class _Worker:
    """A process that does one job after the other; it has imported everything after the first."""

    def __init__(self) -> None:
        # Spawned, not forked: PyTorch has threads.
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(other,), daemon=True)
        before = {name: os.environ.get(name) for name in _THREADS}
        # Threads of several workers on the same cores would only wait for each other.
        os.environ.update(dict.fromkeys(_THREADS, "1"))
        try:
            self.process.start()
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        other.close()
        self.job: Job | None = None

    def start(self, job: Job) -> None:
        """Give it a job."""
        self.job = job
        self.connection.send(job.work)

    def is_alive(self) -> bool:
        """Whether it can take another job."""
        return self.process.is_alive()

    def fate(self) -> str:
        """How it ended."""
        self.process.join(_PATIENCE)
        code = self.process.exitcode
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"the process of this run ended with {how}"


def _end(workers: Sequence[_Worker]) -> None:
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(_PATIENCE)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()
        worker.connection.close()


def _serve(connection: Connection) -> None:
    # The parent hears of an interruption, and ends its workers: SystemExit lets them clean up.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    while True:
        try:
            work: Work = connection.recv()
        except EOFError:
            return
        try:
            record = work(
                lambda note, done, total: connection.send(("report", (note, done, total)))
            )
            answer: tuple[str, object] = ("done", record)
        except TinytrainError as error:
            answer = ("failed", str(error))
        except MemoryError:
            answer = ("failed", "this machine has too little memory for that")
        # A bug in one run must not end the others; its trace is shown with the failure.
        except Exception:
            answer = ("failed", f"this is a bug in tinytrain\n{traceback.format_exc().rstrip()}")
        connection.send(answer)
