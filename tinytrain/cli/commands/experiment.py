"""`tinytrain experiment`: many runs, then tables and plots."""

from __future__ import annotations

import argparse
import sys

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_table, print_warnings
from tinytrain.errors import RunError, Where
from tinytrain.experiments.experiment import ExperimentResult, experiment
from tinytrain.experiments.parameters import EXPERIMENT as PARAMETERS
from tinytrain.experiments.pool import reasons
from tinytrain.experiments.progress import ExperimentDisplay
from tinytrain.experiments.report import figures_shown, percent, rate_shown

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Does what is not done, and shows the table.

    Raises:
        RunError: runs failed; all others are done and in the files.
    """
    given = arguments_of(options, PARAMETERS)
    if options.dry_run:
        for title, state in experiment(**given).runs.items():
            print(f"{state:<8} {title}")
        return
    with ExperimentDisplay() as display:
        result = experiment(**given, progress=display)
    for note in result.notes:
        print(note, file=sys.stderr)
    print_warnings(result.warnings)
    _show(result)
    if result.failures:
        raise RunError(
            f"{len(result.failures)} of the experiment's jobs failed, the others are done",
            where=Where(options.file),
            detail=reasons(result.failures),
            help="mend the cause and run the command again: what is done stays",
        )


def _show(result: ExperimentResult) -> None:
    table = Table()
    shown = figures_shown(result.groups)
    for column in ("model, data", "scheme", "rule", "rate", *shown, "seeds", "RAM"):
        right = column in ("rate", *shown, "seeds", "RAM")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for group in result.groups:
        chosen, first = group.chosen(), group.first
        table.add_row(
            f"{first.model.name}, {first.data.name}",
            first.scheme_name,
            first.rule.name,
            rate_shown(group),
            *(percent(chosen, figure) for figure in shown.values()),
            str(len(chosen)),
            f"{group.cost['ram']['total']:,}" if group.cost else "-",
        )
    print_table(table)
    print(f"results in {result.output}: results.md, results.csv and plots")
