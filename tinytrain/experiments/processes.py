"""Workers that are processes of this machine, and may fail without taking the others along."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Self

from tinytrain.experiments.pool import Event, Job, Outcome, Work, attempt

_PATIENCE = 10.0
"""Seconds that a worker has to end when it is told to."""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


class Processes:
    """`Workers` that stay for further jobs, and with them what they have in memory.

    Args:
        count: of processes, at least 1.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._free: list[_Worker] = []
        self._busy: dict[Connection, _Worker] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()
        _end(self._free)
        self._free = []

    def has_room(self) -> bool:
        """See `Workers`."""
        return len(self._busy) < self._count

    def is_busy(self) -> bool:
        """See `Workers`."""
        return bool(self._busy)

    def start(self, job: Job) -> None:
        """See `Workers`."""
        dead = [worker for worker in self._free if not worker.is_alive()]
        _end(dead)
        self._free = [worker for worker in self._free if worker not in dead]
        worker = self._free.pop() if self._free else _Worker()
        self._busy[worker.connection] = worker
        worker.start(job)

    def wait(self) -> Iterator[Event]:
        """See `Workers`."""
        for ready in wait(list(self._busy)):
            assert isinstance(ready, Connection)
            worker = self._busy[ready]
            assert worker.job is not None
            try:
                what = ready.recv()
            except (EOFError, OSError):
                what = ("failed", worker.fate())
            job = worker.job
            if what[0] != "report":
                worker.job = None
                del self._busy[ready]
                if worker.is_alive():
                    self._free.append(worker)
                else:
                    _end([worker])
            yield Event(job, what)

    def cancel(self) -> None:
        """See `Workers`."""
        _end(list(self._busy.values()))
        self._busy = {}


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
        # Of one that is no more, `wait` hears.
        with suppress(BrokenPipeError):
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
    threading.Thread(target=_end_with_parent, daemon=True).start()
    while True:
        try:
            work: Work = connection.recv()
        except EOFError:
            return
        answer: Outcome = attempt(
            work, lambda note, done, total: connection.send(("report", (note, done, total)))
        )
        with suppress(BrokenPipeError):
            connection.send(answer)


def _end_with_parent() -> None:
    """Nobody wants what is done for a parent that was killed."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)
