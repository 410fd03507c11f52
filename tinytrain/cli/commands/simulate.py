"""`tinytrain simulate`: a session on a compiled folder."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import ProgressDisplay, print_table
from tinytrain.cli.tables import facts_table
from tinytrain.simulation.health import HealthReport
from tinytrain.simulation.parameters import SIMULATE as PARAMETERS
from tinytrain.simulation.session import simulate

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Runs the session, and shows its figures."""
    with ProgressDisplay() as display:
        result = simulate(
            **arguments_of(options, PARAMETERS), progress=display.update, warn=display.warn
        )
    if options.json:
        print(result.to_json())
        return
    figures = json.loads(result.to_json())
    # Below the table, where the narrowest terminal shows it whole.
    digest = figures.pop("weights_sha256")
    classes = [figures.pop(f"class_accuracy_{when}") for when in ("before", "after")]
    if curve := figures.pop("curve"):
        print_table(curve_table(curve))
    best = figures.pop("best")
    figures["best_at"] = best and best["step"]
    figures.pop("health")
    figures.pop("warnings")
    enrolment = figures.pop("enrolment")
    print_table(facts_table({name.replace("_", " "): value for name, value in figures.items()}))
    if None not in classes:
        print_table(classes_table(*classes))
    if enrolment is not None:
        print_table(enrolment_table(enrolment))
    print(f"weights sha256 {digest}")
    if result.health is not None:
        print_health(result.health)


def print_health(report: HealthReport) -> None:
    """On standard output: what is not well, tensor by tensor, and what to do."""
    rows = [
        *(
            (g.name, f"cut in {g.saturated / report.steps:.0%} of the steps")
            for g in report.saturating()
        ),
        *((u.name, f"{u.lost / u.seen:.1%} of updates lost") for u in report.losing()),
        *((u.name, f"{u.at_end:,} of {u.elements:,} at an end") for u in report.crowded()),
    ]
    if rows:
        table = Table()
        table.add_column("health of", overflow="fold")
        table.add_column("counted")
        for row in rows:
            table.add_row(*row)
        print_table(table)
    for sentence in report.advice or ("all counters are within their thresholds",):
        print(f"health: {sentence}")


def classes_table(
    before: Sequence[float | None], after: Sequence[float | None], most: int = 20
) -> Table:
    """A line for each class with its accuracy, 0 to 1; those that lost most where there are many.

    Args:
        before, after: None for a class without samples.
        most: lines.
    """
    table = Table()
    for column in ("class", "before", "after", "change"):
        table.add_column(column, justify="right")
    rows = [
        (label, old, new)
        for label, (old, new) in enumerate(zip(before, after, strict=True))
        if old is not None and new is not None
    ]
    if len(rows) > most:
        rows = sorted(sorted(rows, key=lambda row: row[2] - row[1])[:most])
    for label, old, new in rows:
        table.add_row(str(label), f"{old:.1%}", f"{new:.1%}", f"{100 * (new - old):+.1f}")
    return table


def enrolment_table(figures: Mapping[str, Any]) -> Table:
    """The figures of the classes that were enrolled; those of each class are left out."""
    named = {"ncm": "nearest class mean", "knn": "nearest neighbours"}[figures["method"]]
    facts = {
        name.replace("_", " "): value
        for name, value in figures.items()
        if not name.startswith("class_") and name != "method"
    }
    return facts_table({"enrolled": named, **facts})


def curve_table(curve: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each evaluation between steps: step, accuracy, loss."""
    table = Table()
    for column in ("step", "accuracy", "loss"):
        table.add_column(column, justify="right")
    for point in curve:
        accuracy, loss = point["accuracy"], point["loss"]
        table.add_row(
            f"{point['step']:,}",
            "-" if accuracy is None else f"{accuracy:.1%}",
            "-" if loss is None else f"{loss:.4f}",
        )
    return table
