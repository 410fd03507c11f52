"""Workers on the machines of a Ray cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

from tinytrain.errors import RunError, UsageError
from tinytrain.experiments.cluster_connection import REACHED, connect, first_line, load_ray
from tinytrain.experiments.cluster_worker import Answer, Notes, answer
from tinytrain.experiments.inputs import Input
from tinytrain.experiments.parcel import Parcel, Shipped, packed_work, versions
from tinytrain.experiments.pool import Event, Job
from tinytrain.version import __version__

ATTEMPTS = 3
"""Workers that may die of one job before it has failed."""

_MOMENT = 0.5
"""Seconds between two looks at notes."""

_PATIENCE = 10.0
"""Seconds that a job has to end when it is told to."""

_ROOM_FOR = 5.0
"""Seconds for which a count of the cluster's processors is good."""


@dataclass
class _Running:
    job: Job
    number: int
    tries: int


class Cluster:
    """`Workers` of a Ray cluster, one for each of its processors.

    Each machine gets a model and data once, by their content, and keeps them. A job whose worker
    dies begins anew on another, `ATTEMPTS` times in all.

    Args:
        address: `ray://HOST:PORT`; None takes what RAY_ADDRESS names, else the cluster that this
            machine is part of, else one that is started on this machine for as long as it is used.

    Raises:
        UsageError: on entering: Ray is not installed, or the cluster cannot be reached.
        RunError: at any time: the cluster was lost, or a machine has other versions of what
            decides results.
    """

    def __init__(self, address: str | None) -> None:
        self._address = address or os.environ.get("RAY_ADDRESS") or None
        self._ray: Any = None
        self._is_own = False
        self._running: dict[Any, _Running] = {}
        self._shipped: dict[Input, Shipped] = {}
        self._count = 0
        self._room = (0.0, 0)

    def __enter__(self) -> Self:
        self._ray = load_ray()
        self._is_own = self._address is not None or not self._ray.is_initialized()
        if self._is_own:
            connect(self._ray, self._address)
        try:
            with self._held():
                notes = self._ray.remote(num_cpus=0, max_restarts=-1)(Notes)
                self._notes = notes.remote()
                self._do = self._ray.remote(num_cpus=1, max_retries=0)(_do)
                if not self._processors():
                    raise UsageError(
                        f"{self._name} has no processors for jobs",
                        help="start it with machines that lend some (`ray start --num-cpus`)",
                    )
        except BaseException:
            self._leave()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.cancel()
        self._leave()

    def has_room(self) -> bool:
        """See `Workers`."""
        with self._held():
            return len(self._running) < self._processors()

    def is_busy(self) -> bool:
        """See `Workers`."""
        return bool(self._running)

    def start(self, job: Job) -> None:
        """See `Workers`."""
        self._count += 1
        self._begin(_Running(job, self._count, 1))

    def wait(self) -> Iterator[Event]:
        """See `Workers`."""
        ray = self._ray
        with self._held():
            ray.wait(list(self._running), num_returns=1, timeout=_MOMENT)
            ended, _ = ray.wait(list(self._running), num_returns=len(self._running), timeout=0)
            told = self._told()
        jobs = {running.number: running.job for running in self._running.values()}
        for number, note in told.items():
            if number in jobs:
                yield Event(jobs[number], ("report", note))
        for reference in ended:
            event = self._end(reference)
            if event is not None:
                yield event

    def cancel(self) -> None:
        """See `Workers`."""
        left, self._running = list(self._running), {}
        # What cannot be told to a cluster that is lost need not be.
        with suppress(Exception):
            for reference in left:
                self._ray.cancel(reference)
            if left:
                _, left = self._ray.wait(left, num_returns=len(left), timeout=_PATIENCE)
            for reference in left:
                self._ray.cancel(reference, force=True)

    def _begin(self, running: _Running) -> None:
        needs = running.job.needs
        with self._held():
            parcel = Parcel(
                packed_work(running.job),
                [self._ship(given) for given in needs.inputs],
                needs.cache,
                versions(needs.packages),
            )
            reference = self._do.remote(parcel, self._notes, running.number)
        self._running[reference] = running

    def _ship(self, given: Input) -> Shipped:
        """Sends an input ahead, unless that was done."""
        if given not in self._shipped:
            digest = given.digest()
            beside = tuple(name for name, _ in given.beside)
            same = next((s for s in self._shipped.values() if s.digest == digest), None)
            parts: list[Any] = [] if same is None else list(same.parts)
            if same is None:
                given.pack(lambda part: parts.append(self._ray.put(part)))
            shipped = Shipped(given.path, given.name, digest, beside, tuple(parts))
            self._shipped[given] = shipped
        return self._shipped[given]

    def _end(self, reference: Any) -> Event | None:
        """What became of a job; None if it begins anew."""
        running = self._running.pop(reference)
        errors = self._ray.exceptions
        died = (
            errors.WorkerCrashedError,
            errors.NodeDiedError,
            errors.LocalRayletDiedError,
            errors.OutOfMemoryError,
            errors.ObjectLostError,
        )
        try:
            found: Answer = self._ray.get(reference)
        except died as error:
            return self._again(running, error)
        except errors.RayTaskError as error:
            # What goes wrong with a job is an answer: this is the worker's own end.
            raise _unfit(first_line(error.cause or error)) from error
        except errors.RayError as error:
            found = "failed", f"Ray gave it up: {first_line(error)}"
        if found[0] == "unfit":
            raise _unfit(found[1])
        return Event(running.job, found)

    def _again(self, running: _Running, error: Exception) -> Event | None:
        # What was sent may have been lost with the machine that held it.
        for given in running.job.needs.inputs:
            self._shipped.pop(given, None)
        if running.tries == ATTEMPTS:
            why = first_line(error)
            reason = f"{running.tries} workers died of this run, one after the other: {why}"
            return Event(running.job, ("failed", reason))
        self._begin(_Running(running.job, running.number, running.tries + 1))
        note = f"its worker died, attempt {running.tries + 1} of {ATTEMPTS}"
        return Event(running.job, ("report", (note, 0, 1)))

    def _told(self) -> dict[int, tuple[str, int, int]]:
        """Notes since the last time; none while the machine that keeps them is replaced."""
        with suppress(self._ray.exceptions.RayActorError, self._ray.exceptions.GetTimeoutError):
            found: dict[int, tuple[str, int, int]]
            found = self._ray.get(self._notes.take.remote(), timeout=REACHED)
            return found
        return {}

    def _processors(self) -> int:
        counted, found = self._room
        if not found or time.monotonic() - counted > _ROOM_FOR:
            found = int(self._ray.cluster_resources().get("CPU", 0))
            self._room = time.monotonic(), found
        return found

    @property
    def _name(self) -> str:
        return f"the Ray cluster {self._address}" if self._address else "the Ray cluster"

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Says that the cluster was lost where Ray does."""
        try:
            yield
        except (ConnectionError, self._ray.exceptions.RayError) as error:
            raise RunError(
                f"{self._name} was lost: {first_line(error)}",
                help="start it again and run the command again: what is done stays",
            ) from error
        except ImportError as error:
            raise _unfit(first_line(error)) from error
        except SystemError as error:
            # What a signal raised, SIGTERM as `tinytrain` hears it, comes out of Ray in this.
            if error.__cause__ is None:
                raise
            raise error.__cause__ from None

    def _leave(self) -> None:
        with suppress(Exception):
            if self._is_own:
                self._ray.shutdown()
            else:
                self._ray.kill(self._notes)


def _unfit(why: str) -> RunError:
    """That a machine cannot do jobs as this one does."""
    return RunError(
        f"a machine of the cluster cannot do what this one does: {why}",
        help="install the same versions on all machines: pip install "
        f"'tinytrain[ray]=={__version__}'; what is done stays",
    )


def _do(parcel: Parcel, notes: Any, number: int) -> Answer:
    """A task of Ray."""
    import ray

    def tell(note: str, done: int, total: int) -> None:
        notes.tell.remote(number, note, done, total)

    lost: list[ray.exceptions.ObjectLostError] = []

    def fetch(parts: tuple[Any, ...]) -> Iterator[bytes]:
        try:
            yield from map(ray.get, parts)
        except ray.exceptions.ObjectLostError as error:
            lost.append(error)
            raise

    found = answer(parcel, fetch, tell)
    # The cluster is to send it once more; nothing is wrong with the job.
    if lost:
        raise lost[0]
    return found
