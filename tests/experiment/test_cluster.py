"""Experiments on a Ray cluster: the bits of local ones, whatever dies."""

from __future__ import annotations

import functools
import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import cluster_jobs
from tests.support.experiments import FILE, files_of, write_experiment
from tests.support.monitors import Heard
from tests.support.ray_cluster import TwoMachines, two_machines
from tinytrain.errors import RunError
from tinytrain.experiments import cluster as cluster_module
from tinytrain.experiments.cluster import Cluster
from tinytrain.experiments.experiment import experiment
from tinytrain.experiments.inputs import Input
from tinytrain.experiments.pool import Job, Needs, run_jobs
from tinytrain.experiments.processes import Processes

ray = pytest.importorskip("ray", reason="Ray is not installed: tinytrain[ray]")

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]


@pytest.fixture(scope="module")
def machines() -> Iterator[TwoMachines]:
    with two_machines() as found:
        yield found


def nothing_more(job: Job) -> list[Job]:
    return []


def jobs(folder: Path) -> list[Job]:
    """Jobs that end in all ways."""
    file, cache = folder / "ä file.txt", folder / "cache"
    file.write_text("content")
    cache.mkdir(exist_ok=True)
    needs = Needs((Input(file),), cache)
    return [
        Job("dies", cluster_jobs.die),
        Job("dies once", functools.partial(cluster_jobs.die_once, folder / "died")),
        Job("reads", functools.partial(cluster_jobs.read, file, cache), needs),
        Job("refuses", functools.partial(cluster_jobs.refuse, file), needs),
        Job("waits", functools.partial(cluster_jobs.wait, 2)),
    ]


def test_jobs_end_as_they_do_here(
    machines: TwoMachines, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    there, here = Heard(), Heard()
    with Cluster(machines.address) as workers:
        run_jobs(jobs(tmp_path), workers, there, nothing_more)
    with Processes(2) as workers:
        run_jobs(jobs(tmp_path), workers, here, nothing_more)
    assert there.done["dies once"] == {"value": 1} == here.done["dies once"]
    assert there.done["reads"]["text"] == here.done["reads"]["text"] == "content"
    assert there.done["reads"]["threads"] == here.done["reads"]["threads"] == "1"
    places = there.done["reads"]["places"]
    assert all(place.startswith(str(machines.folder)) for place in places)
    assert here.done["reads"]["places"] == (str(tmp_path / "ä file.txt"), str(tmp_path / "cache"))
    assert there.failures["refuses"].startswith(here.failures["refuses"] + "\n  on: machine ")
    assert there.failures["dies"].startswith("3 workers died of this run, one after the other: ")
    assert {("waits", "waiting", 1, 2)} <= set(there.reports)
    assert ("dies once", "its worker died, attempt 2 of 3", 0, 1) in there.reports
    assert capfd.readouterr().err == ""


class Terminated(BaseException):
    """As the command line raises for SIGTERM."""


def test_a_signal_ends_what_the_cluster_does(
    machines: TwoMachines, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Ray takes SIGTERM for itself, and wraps what a handler raises while it waits."""
    mark = tmp_path / "ended"
    job = Job("waits", functools.partial(cluster_jobs.wait_or_tell, mark))

    def terminated(number: int, frame: object) -> None:
        raise Terminated

    class Alarmed(Heard):
        def report(self, job: Job, note: str, done: int, total: int) -> None:
            threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()

    before = signal.signal(signal.SIGTERM, terminated)
    try:
        with pytest.raises(Terminated), Cluster(machines.address) as workers:
            run_jobs([job], workers, Alarmed(), nothing_more)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert mark.exists()
    assert capfd.readouterr().err == ""


def test_an_interruption_ends_what_the_cluster_does(machines: TwoMachines, tmp_path: Path) -> None:
    mark = tmp_path / "ended"
    job = Job("waits", functools.partial(cluster_jobs.wait_or_tell, mark))

    class Interrupter(Heard):
        def report(self, job: Job, note: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

    with Cluster(machines.client) as workers:
        with pytest.raises(KeyboardInterrupt):
            run_jobs([job], workers, Interrupter(), nothing_more)
        assert mark.exists() and not workers.is_busy()
        heard = Heard()
        run_jobs(
            [Job("after", functools.partial(cluster_jobs.wait, 0))], workers, heard, nothing_more
        )
    assert set(heard.done) == {"after"}


def test_other_versions_are_refused(machines: TwoMachines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_module, "versions", lambda packages: {"numpy": "1.0"})
    heard = Heard()
    job = Job("waits", functools.partial(cluster_jobs.wait, 0))
    with (
        pytest.raises(RunError, match=r"cannot do what this one does: machine .* has numpy"),
        Cluster(machines.address) as workers,
    ):
        run_jobs([job], workers, heard, nothing_more)
    assert not heard.done


class Killer(Heard):
    """Kills one of two machines when both train, each with a quarter of its run to go at least."""

    def __init__(self, machines: TwoMachines) -> None:
        super().__init__()
        self._machines = machines
        self._is_done = False

    def expect(self, total: int) -> None:
        """Of a monitor."""

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        """Of a monitor."""
        super().report(job, note, done, total)
        steps = {title: (done, total) for title, _, done, total in self.reports if total > 1}
        left = {title for title, (done, total) in steps.items() if 4 * done < 3 * total}
        if len(left - set(self.done)) == 2 and not self._is_done:
            self._is_done = True
            self._machines.kill_second()


def test_a_machine_that_dies_changes_no_bit(
    machines: TwoMachines, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    # The second machine takes seconds to start its worker, and has to find runs to do.
    text = FILE.replace("steps = 30", "steps = 400000").replace("[4, 5]", "[4, 5, 6, 7]")
    file = write_experiment(tmp_path, text)
    how = {"only": "rate 0.01", "cache": tmp_path / "cache"}
    killer = Killer(machines)
    experiment(file, output=tmp_path / "here", **how)
    experiment(file, output=tmp_path / "there", workers=machines.client, progress=killer, **how)
    assert len(killer.done) == 5 and not killer.failures
    assert "its worker died, attempt 2 of 3" in {note for _, note, *_ in killer.reports}
    assert files_of(tmp_path / "there") == files_of(tmp_path / "here")
    assert capfd.readouterr().err == ""
