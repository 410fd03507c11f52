"""Runs an experiment: what is not done yet, over all cores, each result in a file of its own."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tinytrain.experiments.identity import PACKAGES, cost_key, model_input, run_key
from tinytrain.experiments.inputs import Input
from tinytrain.experiments.pool import Job, Monitor, Needs, Report, Workers, run_jobs
from tinytrain.experiments.results import GroupResult, Results
from tinytrain.experiments.spec import Experiment, Run
from tinytrain.experiments.worker import cost_to_record, run_to_record


@dataclass(frozen=True, eq=False)
class Outcome:
    """What an experiment gave.

    Attributes:
        groups: in the file's order.
        failures: title and reason of each job that failed.
    """

    groups: tuple[GroupResult, ...]
    failures: tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class _Task:
    """What a job is for: the cost of a group's rule, or one of its runs."""

    group: GroupResult
    run: Run
    is_cost: bool


class _Conductor:
    """Starts jobs in their order, and keeps what they give; a `Monitor`."""

    def __init__(
        self, experiment: Experiment, results: Results, cache: Path, monitor: Monitor
    ) -> None:
        self._experiment = experiment
        self._results = results
        self._cache = cache
        self._monitor = monitor
        self._tasks: dict[str, _Task] = {}
        self.failures: list[tuple[str, str]] = []

    def cost(self, group: GroupResult) -> list[Job]:
        """The job that finds out what a rule costs, where that is not known."""
        if group.first.rule.engine != "c" or group.cost is not None:
            return []
        target, instructions = self._experiment.target, self._experiment.instructions
        title = cost_title(group.first, target)
        self._tasks[title] = _Task(group, group.first, True)
        run = group.first
        work = functools.partial(_cost, run, _named(run.scheme), _named(target), instructions)
        return [Job(title, work, _needs(run, target, None))]

    def runs(self, group: GroupResult) -> list[Job]:
        """The jobs of a group that can start now: of the first seed until they have all ended."""
        first = self._jobs(group, group.first_runs())
        return first or self._jobs(group, group.other_runs())

    def _jobs(self, group: GroupResult, runs: Sequence[Run]) -> list[Job]:
        jobs = []
        for run in runs:
            if run_key(run) not in group.results and run.title not in self._tasks:
                self._tasks[run.title] = _Task(group, run, False)
                scheme, target = _named(run.scheme), _named(self._experiment.target)
                work = functools.partial(_run, run, scheme, target, self._cache)
                needs = _needs(run, self._experiment.target, self._cache)
                jobs.append(Job(run.title, work, needs))
        return jobs

    def then(self, job: Job) -> list[Job]:
        """Which jobs come after one that ended."""
        task = self._tasks[job.title]
        group = task.group
        if task.is_cost or any(not self._has_ended(group, run) for run in group.first_runs()):
            return []
        return self._jobs(group, group.other_runs())

    def _has_ended(self, group: GroupResult, run: Run) -> bool:
        return run_key(run) in group.results or any(run.title == name for name, _ in self.failures)

    def expect(self, total: int) -> None:
        """See `Monitor`."""
        self._monitor.expect(total)

    def report(self, job: Job, note: str, done: int, total: int) -> None:
        """See `Monitor`."""
        self._monitor.report(job, note, done, total)

    def finished(self, job: Job, record: dict[str, Any]) -> None:
        """See `Monitor`: the result is in its file before anything else happens."""
        task = self._tasks[job.title]
        if task.is_cost:
            key = cost_key(task.run, self._experiment.target, self._experiment.instructions)
            self._results.write("costs", key, job.title, record)
            task.group.cost = record
        else:
            self._results.write("runs", run_key(task.run), job.title, record)
            task.group.take(task.run, record)
        self._monitor.finished(job, record)

    def failed(self, job: Job, reason: str) -> None:
        """See `Monitor`."""
        self.failures.append((job.title, reason))
        self._monitor.failed(job, reason)


def run_experiment(
    experiment: Experiment,
    output: Path,
    cache: Path,
    *,
    workers: Workers,
    only: re.Pattern[str] | None,
    monitor: Monitor,
) -> Outcome:
    """Do what is not done yet.

    Args:
        output: folder of the results.
        cache: folder for what runs share.
        workers: do the jobs.
        only: of the runs, those whose title it is found in.
    """
    results = Results(output)
    groups = results.groups(experiment, only)
    conductor = _Conductor(experiment, results, cache, monitor)
    jobs = [job for group in groups for job in conductor.cost(group)]
    jobs += [job for group in groups for job in conductor.runs(group)]
    run_jobs(jobs, workers, conductor, conductor.then)
    return Outcome(groups, tuple(conductor.failures))


def cost_title(run: Run, target: str) -> str:
    """Names the job that finds out what a rule costs."""
    return f"{run.group}: bytes on {Path(target).stem}"


def planned(experiment: Experiment, output: Path, only: re.Pattern[str] | None) -> dict[str, str]:
    """What would be done, for the title of each run.

    It is "done" or "to do"; or "to do at the best rate", which the first seed has to tell yet.
    """
    found = {}
    for group in Results(output).groups(experiment, only):
        if group.first.rule.engine == "c":
            found[cost_title(group.first, experiment.target)] = "done" if group.cost else "to do"
        first = group.first_runs()
        is_tried = all(run_key(run) in group.results for run in first)
        for run in [*first, *group.other_runs()] if is_tried else first:
            found[run.title] = "done" if run_key(run) in group.results else "to do"
        if not is_tried:
            for seed in dict.fromkeys(run.seed for run in group.runs if run not in first):
                found[f"{group.first.group}/seed {seed}"] = "to do at the best rate"
    return found


def _named(text: str) -> str | Path:
    """A preset as it is, a file as a path: that is what another machine gets."""
    return Path(text) if Path(text).is_file() else text


def _needs(run: Run, target: str, cache: Path | None) -> Needs:
    """What a run, or the cost of its rule, needs on another machine."""
    named = [*run.data.files(), _named(run.scheme), _named(target)]
    return Needs(
        (model_input(run.model.path), *(Input(path) for path in named if isinstance(path, Path))),
        cache,
        PACKAGES if run.rule.engine == "c" else (*PACKAGES, "torch"),
    )


def _run(
    run: Run, scheme: str | Path, target: str | Path, cache: Path, report: Report
) -> dict[str, Any]:
    return run_to_record(replace(run, scheme=str(scheme)), str(target), cache, report)


def _cost(
    run: Run, scheme: str | Path, target: str | Path, instructions: bool, report: Report
) -> dict[str, Any]:
    report("compile", 0, 1)
    return cost_to_record(replace(run, scheme=str(scheme)), str(target), instructions)
