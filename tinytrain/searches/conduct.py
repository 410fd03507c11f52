"""Lets a question be answered: what it misses is measured, and then it is asked again."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

from tinytrain.errors import RunError
from tinytrain.experiments.identity import PACKAGES
from tinytrain.experiments.inputs import Input
from tinytrain.experiments.pool import Job, Needs, Workers, reasons, run_jobs
from tinytrain.searches.bench import run_training
from tinytrain.searches.measured import Measured, NotMeasured, SearchTrial

Answer = TypeVar("Answer")


class Listener(Protocol):
    """Is told how a search goes on."""

    def stage(self, what: str) -> None:
        """What is done now, beside trainings."""
        ...

    def expect(self, total: int) -> None:
        """So many trainings are to be done, by what is known now."""
        ...

    def begun(self, title: str) -> None:
        """A training goes on."""
        ...

    def ended(self, title: str, note: str) -> None:
        """A training is done, or failed."""
        ...


class Silent:
    """A `Listener` that does not listen."""

    def stage(self, what: str) -> None:
        """See `Listener`."""

    def expect(self, total: int) -> None:
        """See `Listener`."""

    def begun(self, title: str) -> None:
        """See `Listener`."""

    def ended(self, title: str, note: str) -> None:
        """See `Listener`."""


class Conductor:
    """Measures what is missing with workers; a `Monitor`.

    Args:
        bench: gives the files of `write_bench`, made when the first training needs them.
        cache: folder for libraries, which may not be there yet.
        workers: do the trainings.
    """

    def __init__(
        self,
        measured: Measured,
        bench: Callable[[], tuple[Path, Path]],
        cache: Path,
        workers: Workers,
        listener: Listener,
    ) -> None:
        self._measured, self._bench, self._cache = measured, bench, cache
        self._workers, self._listener = workers, listener
        self._trainings: dict[str, SearchTrial] = {}
        self._failures: list[tuple[str, str]] = []
        self.done = 0

    def answer(self, question: Callable[[], Answer]) -> Answer:
        """Of a question that raises `NotMeasured` until all that it asks for is known.

        Raises:
            RunError: a training failed; the others are kept.
        """
        while True:
            try:
                return question()
            except NotMeasured as missing:
                self._measure(missing.trainings)

    def _measure(self, trainings: Sequence[SearchTrial]) -> None:
        largest, samples = self._bench()
        needs = Needs((Input(largest), Input(samples)), self._cache, PACKAGES)
        jobs = []
        for one in trainings:
            self._trainings[one.key] = one
            work = functools.partial(run_training, largest, samples, self._cache, one)
            jobs.append(Job(one.key, work, needs))
        run_jobs(jobs, self._workers, self, lambda job: ())
        if self._failures:
            raise RunError(
                f"{len(self._failures)} of {len(trainings)} trainings failed, the others are done",
                detail=reasons(self._failures),
                help="mend the cause and run the command again: what is done stays",
            )

    def expect(self, total: int) -> None:
        """See `Monitor`."""

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        """See `Monitor`."""
        self._listener.begun(self._trainings[job.title].title)

    def finished(self, job: Job, record: dict[str, Any]) -> None:
        """See `Monitor`: the record is in its file before anything else happens."""
        training = self._trainings[job.title]
        self._measured.keep(training, record)
        self.done += 1
        loss = record["loss"]
        note = "loss not finite" if loss is None else f"loss {loss:.4f}"
        self._listener.ended(training.title, f"{note}, {record['accuracy']:.1%}")

    def failed(self, job: Job, reason: str) -> None:
        """See `Monitor`."""
        training = self._trainings[job.title]
        self._failures.append((training.title, reason))
        self._listener.ended(training.title, f"failed: {reason}")
