"""`tinytrain simulate`: a session on a compiled folder."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import ProgressDisplay, print_table
from tinytrain.cli.figures import confusion_table, enrolment_figures, figures_of, scores_table
from tinytrain.cli.tables import facts_table
from tinytrain.naming import as_written
from tinytrain.reference.class_health import WELL
from tinytrain.simulation.enrolment import EnrolmentReport
from tinytrain.simulation.health import HealthReport
from tinytrain.simulation.parameters import SIMULATE as PARAMETERS
from tinytrain.simulation.result import SimulationResult
from tinytrain.simulation.session import simulate

__all__ = ["PARAMETERS", "run"]

MOST_CLASSES = 20
"""Classes whose counters are shown at most."""


def run(options: argparse.Namespace) -> None:
    """Runs the session, and shows its figures."""
    with ProgressDisplay() as display:
        result = simulate(
            **arguments_of(options, PARAMETERS), progress=display.update, warn=display.warn
        )
    if options.json:
        print(result.to_json())
        return
    if result.curve:
        print_table(curve_table([vars(point) for point in result.curve]))
    print_table(facts_table(dict(figures_of(result))))
    enrolment = result.enrolment
    if enrolment is None or not enrolment.is_alone:
        print_classes(result)
    if enrolment is not None and not enrolment.is_alone:
        print_table(facts_table(dict(enrolment_figures(enrolment))))
    if enrolment is not None:
        print_classes(enrolment)
    if result.unlabelled is not None:
        print(f"without labels: {result.unlabelled.sentence()}")
    # Below the tables, where the narrowest terminal shows it whole.
    print(f"weights sha256 {result.weights_sha256}")
    if result.guard is not None:
        for sentence in result.guard.sentences():
            print(f"guard: {as_written(sentence)}")
    if result.health is not None:
        print_health(result.health)


def print_classes(found: SimulationResult | EnrolmentReport) -> None:
    """On standard output: what became of each class, and what was taken for what."""
    if found.unequal_classes:
        print("classes are unequal (one has twice as many samples as another): the mean of their "
              "accuracies, which are recalls, leads")  # fmt: skip
    if found.class_accuracy_before is not None and found.class_accuracy_after is not None:
        print_table(classes_table(found.class_accuracy_before, found.class_accuracy_after))
    if found.confusion is not None:
        print_table(scores_table(found.confusion))
        print_table(confusion_table(found.confusion))


def print_health(report: HealthReport) -> None:
    """On standard output: what is not well, tensor by tensor, and what to do."""
    rows = [
        *(
            (g.name, f"cut in {g.saturated / report.steps:.0%} of the steps")
            for g in report.saturating()
        ),
        *((u.name, f"{u.lost / u.seen:.1%} of updates lost") for u in report.losing()),
        *((u.name, f"{u.at_end:,} of {u.elements:,} at an end") for u in report.crowded()),
        *(
            (
                f"class {c.label}",
                f"last seen {c.since:,} steps ago; {c.labels} labels, "
                f"{c.predictions} predictions of late",
            )
            for c in [c for c in report.classes if c.trend != WELL][:MOST_CLASSES]
        ),
    ]
    if rows:
        table = Table()
        table.add_column("health of", overflow="fold")
        table.add_column("counted")
        for row in rows:
            table.add_row(*row)
        print_table(table)
    for sentence in report.advice or ("all counters are within their thresholds",):
        print(f"health: {as_written(sentence)}")


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


def curve_table(curve: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each evaluation between steps; a column for each figure that it has."""
    columns = [
        (title, key)
        for title, key in (
            ("accuracy", "accuracy"),
            ("balanced", "balanced_accuracy"),
            ("old task", "accuracy_old"),
            ("old, balanced", "balanced_accuracy_old"),
        )
        if any(point.get(key) is not None for point in curve)
    ]
    table = Table()
    for column in ("step", *(title for title, _ in columns), "loss"):
        table.add_column(column, justify="right")
    for point in curve:
        loss = point["loss"]
        table.add_row(
            f"{point['step']:,}",
            *(f"{point[key]:.1%}" for _, key in columns),
            f"{loss:.4f}" if loss is not None and math.isfinite(loss) else "-",
        )
    return table
