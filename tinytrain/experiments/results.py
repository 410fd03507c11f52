"""The results of an experiment, and the folder that holds a file for each of them."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tinytrain.experiments.identity import cost_key, run_key
from tinytrain.experiments.once import write_text
from tinytrain.experiments.spec import Experiment, Run


@dataclass(frozen=True, eq=False)
class RunResult:
    """A run that reached its end.

    Attributes:
        curve: step, accuracy, loss and train_loss of each evaluation; a figure that was not finite
            is None.
        not_finite: steps whose loss was not finite; the device skips them.
        weights_sha256: of the trained parameters; None for an engine in PyTorch.
        images: what uint8 images become; None where the data has none.
        warnings: sentences on data that is not scaled as in calibration.
        unequal: whether the classes of the test samples are so unequal that the balanced accuracy
            decides.
        class_accuracy: of each class after the last step; None for one without test samples.
    """

    run: Run
    curve: Sequence[Mapping[str, Any]]
    not_finite: int
    weights_sha256: str | None
    images: str | None = None
    warnings: tuple[str, ...] = ()
    unequal: bool = False
    class_accuracy: tuple[float | None, ...] = ()

    def last(self, figure: str) -> float | None:
        """A figure of the evaluation after the last step."""
        found: float | None = self.curve[-1].get(figure)
        return found

    @property
    def score(self) -> float:
        """What rates are chosen by: the accuracy, or the balanced one where classes are unequal."""
        balanced = self.last("balanced_accuracy")
        return self.accuracy if not self.unequal or balanced is None else balanced

    @property
    def accuracy(self) -> float:
        """After the last step."""
        return float(self.curve[-1]["accuracy"])

    @property
    def loss(self) -> float | None:
        """Of the test samples after the last step; infinite where it was not finite, None where
        classes are enrolled.
        """
        found = self.curve[-1]["loss"]
        if found is None:
            return None if self.run.rule.enrols else math.inf
        return float(found)


@dataclass(eq=False)
class GroupResult:
    """All rates and seeds of one model, data, scheme and rule.

    Attributes:
        runs: all that the group may need, the first seed's before the others'.
        results: of those that are done, by their key.
        cost: RAM by use, and more; None for an engine in PyTorch, or where it is not known.
    """

    runs: tuple[Run, ...]
    results: dict[str, RunResult] = field(default_factory=dict)
    cost: Mapping[str, Any] | None = None

    @property
    def first(self) -> Run:
        """The run that stands for what all have in common."""
        return self.runs[0]

    def take(self, run: Run, record: Mapping[str, Any]) -> None:
        """The result of one of the runs."""
        self.results[run_key(run)] = RunResult(
            run,
            record["curve"],
            int(record["not_finite"]),
            record.get("weights_sha256"),
            record.get("images"),
            tuple(record.get("warnings", ())),
            bool(record.get("unequal_classes")),
            tuple(record.get("class_accuracy", ())),
        )

    def done(self) -> list[RunResult]:
        """What is there, in the order of `runs`."""
        found = (self.results.get(run_key(run)) for run in self.runs)
        return [result for result in found if result is not None]

    def warnings(self) -> list[str]:
        """Of what is there, each with the model that it is about, once."""
        name = self.first.model.name
        return list(dict.fromkeys(f"{name}: {w}" for one in self.done() for w in one.warnings))

    def first_runs(self) -> list[Run]:
        """Runs that depend on no other: of the first seed, or all where there is one rate."""
        rates = {run.rate for run in self.runs}
        return [run for run in self.runs if len(rates) == 1 or run.seed == self.first.seed]

    def other_runs(self) -> list[Run]:
        """Runs of the other seeds at the best rate of the first."""
        first, rate = self.first_runs(), self.best_rate()
        return [run for run in self.runs if run.rate == rate and run not in first]

    def best_rate(self) -> float | None:
        """The rate with the best score on the first seed; of equals, with the smallest loss."""
        tried = [result for result in self.done() if result.run.seed == self.first.seed]
        if not tried:
            return None
        return min(tried, key=lambda result: (-result.score, result.loss or 0.0)).run.rate

    def chosen(self) -> list[RunResult]:
        """Results at the best rate, one for each seed."""
        rate = self.best_rate()
        return [result for result in self.done() if result.run.rate == rate]


def warnings_of(groups: Sequence[GroupResult]) -> tuple[str, ...]:
    """Each sentence once."""
    return tuple(dict.fromkeys(sentence for group in groups for sentence in group.warnings()))


class Results:
    """A folder with `runs/KEY.json` and `costs/KEY.json`, each whole or not there."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def groups(
        self, experiment: Experiment, only: re.Pattern[str] | None
    ) -> tuple[GroupResult, ...]:
        """The groups of an experiment in the file's order, with all results that are there.

        Args:
            only: leaves out runs whose title it is not found in.
        """
        found = []
        for runs in experiment.groups():
            wanted = tuple(run for run in runs if only is None or only.search(run.title))
            if not wanted:
                continue
            group = GroupResult(wanted)
            for run in wanted:
                record = self._read("runs", run_key(run))
                if record is not None:
                    group.take(run, record)
            if group.first.rule.engine == "c":
                key = cost_key(group.first, experiment.target, experiment.instructions)
                group.cost = self._read("costs", key)
            found.append(group)
        return tuple(found)

    def write(self, kind: str, key: str, title: str, record: Mapping[str, Any]) -> None:
        """Keep a result; `title` is for people who look into the file."""
        path = self._path(kind, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps({"title": title, **record}, indent=1) + "\n")

    def _read(self, kind: str, key: str) -> dict[str, Any] | None:
        try:
            found = json.loads(self._path(kind, key).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def _path(self, kind: str, key: str) -> Path:
        return self._directory / kind / f"{key}.json"
