"""An experiment from its file to its tables and plots."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import UsageError
from tinytrain.experiments.once import write_text
from tinytrain.experiments.parameters import EXPERIMENT
from tinytrain.experiments.plots import plots_of
from tinytrain.experiments.pool import Monitor, Unmonitored
from tinytrain.experiments.report import csv_text, markdown_text
from tinytrain.experiments.results import GroupResult, warnings_of
from tinytrain.experiments.runner import Outcome, planned, run_experiment
from tinytrain.experiments.spec import Experiment
from tinytrain.experiments.toml_file import load_experiment
from tinytrain.experiments.workers import open_workers
from tinytrain.option import check_options
from tinytrain.output_file import make_folder
from tinytrain.tools import how_to_get

FOLDER = Path("build", "experiments")


@dataclass(frozen=True, eq=False)
class ExperimentResult:
    """What an experiment gave.

    Attributes:
        output: the folder with results.md, results.csv and plots.
        runs: for the title of each run what was known before: "done", "to do", or "to do at the
            best rate", which the first seed had to tell.
        groups: the runs of each model, data, scheme and rule, in the file's order; empty after a
            dry run.
        failures: title and reason of each job that failed; all others are done.
        notes: sentences on what could not be written.
        warnings: sentences on data that is not scaled as in calibration.
    """

    output: Path
    runs: Mapping[str, str]
    groups: tuple[GroupResult, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def experiment(
    file: str | Path,
    *,
    output: str | Path | None = None,
    cache: str | Path = FOLDER / "cache",
    workers: int | str | None = None,
    only: str | None = None,
    dry_run: bool = False,
    progress: Monitor | None = None,
) -> ExperimentResult:
    """Compares models, data, schemes and rules: runs what is not done yet, then writes tables.

    Args:
        file: a TOML file, docs/training.md.
        output: folder of the results; None takes build/experiments and the file's name.
        cache: folder of prepared data and libraries that experiments share.
        workers: runs at a time, at least 1; None takes one for each core. "ray" takes the Ray
            cluster of this machine, and starts one where there is none; "ray://HOST:PORT" another.
        only: a regular expression; runs whose title it is not found in are left out.
        dry_run: whether nothing is done but to look what is done.
        progress: hears how runs go on.

    Raises:
        UsageError: the file makes no sense, or a folder cannot be written.
        DataError: data cannot be read. Runs that fail raise nothing: `failures` has them.
    """
    check_options(EXPERIMENT, workers=workers, only=only, dry_run=dry_run)
    chosen = _pattern(only)
    described = load_experiment(file)
    folder = Path(output) if output else FOLDER / described.file.stem
    runs = planned(described, folder, chosen)
    if not runs:
        raise UsageError(
            f"no run's title matches '{only or ''}'",
            help="--dry-run without --only lists all titles",
        )
    if dry_run:
        return ExperimentResult(folder, runs)
    for place in (folder, Path(cache)):
        make_folder(place, "-o or --cache")
    monitor = Unmonitored() if progress is None else progress
    monitor.expect(sum(state != "done" for state in runs.values()))
    with open_workers(workers) as crew:
        outcome = run_experiment(
            described, folder, Path(cache), workers=crew, only=chosen, monitor=monitor
        )
    notes = _write(described, outcome, folder, only)
    warnings = warnings_of(outcome.groups)
    return ExperimentResult(folder, runs, outcome.groups, outcome.failures, notes, warnings)


def _pattern(only: str | None) -> re.Pattern[str] | None:
    try:
        return None if only is None else re.compile(only)
    except re.error as error:
        raise UsageError(f"'{only}' is no regular expression: {error}") from error


def _write(
    described: Experiment, outcome: Outcome, output: Path, only: str | None
) -> tuple[str, ...]:
    """Tables and plots; gives a sentence on what could not be written."""
    notes: tuple[str, ...] = ()
    try:
        plots = plots_of(outcome.groups)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        plots = {}
        notes = (
            "there are no plots, as matplotlib is not installed: "
            f"{how_to_get('matplotlib')}, and run the command again",
        )
    words = ["tinytrain", "experiment", described.file.name]
    words += ["--only", only] if only else []
    table = markdown_text(
        described, outcome.groups, shlex.join(words), list(plots), outcome.failures
    )
    files = {"results.csv": csv_text(outcome.groups), "results.md": table, **plots}
    for name, text in files.items():
        write_text(output / name, text)
    return notes
