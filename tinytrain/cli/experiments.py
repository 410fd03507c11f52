"""The command `tinytrain experiment`: runs, then writes tables and plots."""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table

from tinytrain.cli.console import print_table
from tinytrain.errors import RunError, UsageError, Where
from tinytrain.experiments.once import write_text
from tinytrain.experiments.plots import plots_of
from tinytrain.experiments.progress import ExperimentDisplay
from tinytrain.experiments.report import csv_text, markdown_text, mean_and_spread
from tinytrain.experiments.runner import Outcome, planned, run_experiment
from tinytrain.experiments.spec import Experiment


def list_runs(experiment: Experiment, output: Path, only: re.Pattern[str] | None) -> None:
    """Print the title of each run, and whether it is done."""
    for title, state in _some(planned(experiment, output, only), only).items():
        print(f"{state:<8} {title}")


def perform(
    experiment: Experiment,
    output: Path,
    cache: Path,
    *,
    workers: int | None,
    only: re.Pattern[str] | None,
) -> None:
    """Do what is not done, then write results.csv, results.md and plots into `output`.

    Args:
        cache: folder for what runs share.
        workers: runs at a time; None takes as many as there are cores.
        only: leaves out runs whose title it is not found in.

    Raises:
        RunError: runs failed; all others are done and in the files.
        UsageError: the output cannot be written.
    """
    to_do = _some(planned(experiment, output, only), only).values()
    for folder in (output, cache):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the folder cannot be written: {error.strerror}",
                where=Where(str(folder)),
                help="name another one with -o or --cache",
            ) from error
    with ExperimentDisplay(sum(state != "done" for state in to_do)) as display:
        outcome = run_experiment(
            experiment,
            output,
            cache,
            workers=workers or len(os.sched_getaffinity(0)),
            only=only,
            monitor=display,
        )
    _write(experiment, outcome, output, only)
    _show(outcome, output)
    if outcome.failures:
        raise RunError(
            f"{len(outcome.failures)} of the experiment's jobs failed, the others are done",
            where=Where(str(experiment.file)),
            detail="\n".join(f"{title}: {reason}" for title, reason in outcome.failures),
            help="mend the cause and run the command again: what is done stays",
        )


def _some(found: Mapping[str, str], only: re.Pattern[str] | None) -> Mapping[str, str]:
    """Refuses an experiment without runs."""
    if not found:
        raise UsageError(
            f"no run's title matches '{only.pattern if only else ''}'",
            help="--dry-run without --only lists all titles",
        )
    return found


def _write(
    experiment: Experiment, outcome: Outcome, output: Path, only: re.Pattern[str] | None
) -> None:
    try:
        plots = plots_of(outcome.groups)
    except ModuleNotFoundError as error:
        if error.name != "matplotlib":
            raise
        plots = {}
        print(
            "there are no plots, as matplotlib is not installed: "
            "pip install 'tinytrain[experiment]', and run the command again",
            file=sys.stderr,
        )
    words = ["tinytrain", "experiment", experiment.file.name]
    words += ["--only", only.pattern] if only else []
    files = {
        "results.csv": csv_text(outcome.groups),
        "results.md": markdown_text(
            experiment, outcome.groups, shlex.join(words), list(plots), outcome.failures
        ),
        **plots,
    }
    for name, text in files.items():
        write_text(output / name, text)


def _show(outcome: Outcome, output: Path) -> None:
    table = Table()
    for column in ("model, data", "scheme", "rule", "rate", "accuracy, %", "seeds", "RAM"):
        right = column in ("rate", "accuracy, %", "seeds", "RAM")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for group in outcome.groups:
        chosen, first = group.chosen(), group.first
        table.add_row(
            f"{first.model.name}, {first.data.name}",
            first.scheme_name,
            first.rule.name,
            f"{chosen[0].run.rate:.4g}" if chosen else "-",
            mean_and_spread([100 * result.accuracy for result in chosen], 1),
            str(len(chosen)),
            f"{group.cost['ram']['total']:,}" if group.cost else "-",
        )
    print_table(table)
    print(f"results in {output}: results.md, results.csv and plots")
