"""`tinytrain search`: what to train within a budget, for given data."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_notes, print_table
from tinytrain.cli.signals import Terminated
from tinytrain.cli.tables import facts_table, memory_table
from tinytrain.compiler.parameters import COMPILE
from tinytrain.searches.asking import command_of
from tinytrain.searches.display import SearchDisplay
from tinytrain.searches.front import best_first, gap_text, spread_text
from tinytrain.searches.parameters import SEARCH as PARAMETERS
from tinytrain.searches.search import SearchResult, search

__all__ = ["PARAMETERS", "run"]

SHOWN = 8
"""Schemes in the table, beside presets."""


def run(options: argparse.Namespace) -> None:
    """Searches, and shows the best."""
    given: dict[str, Any] = arguments_of(options, PARAMETERS)
    try:
        with SearchDisplay(quiet=options.json) as display:
            result = search(**given, progress=display)
    except (KeyboardInterrupt, Terminated):
        print(
            f"what is done stays in {options.store}: the same command goes on from there",
            file=sys.stderr,
        )
        raise
    print_notes(result.notes)
    if options.json:
        print(result.json.read_text(encoding="utf-8"), end="")
        return
    _show(result, next_command(given, result.output))


def next_command(given: Mapping[str, Any], scheme: Path) -> str:
    """The command that compiles what was found, as it was searched."""
    kept = {row.name: given[row.name] for row in COMPILE if row.name in given}
    # Without samples of their own, those of the data have set the ranges.
    kept["calibration"] = kept["calibration"] or given["data"]
    return command_of(COMPILE, {**kept, "scheme": str(scheme), "output": "DIR"}, "compile")


def _show(result: SearchResult, next: str) -> None:
    print_table(_table(result))
    memory = result.memory
    limits = result.limits
    print_table(
        memory_table(memory.ram, memory.flash, ram_budget=limits.ram, flash_budget=limits.flash)
    )
    cost = result.chosen.fitted or result.chosen.takes
    print_table(
        facts_table(
            {
                "scheme": f"{result.output} ({result.chosen.name})",
                "instructions a step": f"{cost.instructions:,}, estimated",
                "bound": gap_text(result.chosen),
                "trainings": f"{result.trainings}, of which {result.new_trainings} are new",
                "page": f"{result.page}, with {result.csv.name} and {result.json.name}",
            }
        )
    )
    print(f"next: {next}")


def _table(result: SearchResult) -> Table:
    table = Table()
    for column in ("scheme", "from", "RAM", "instructions", "loss", result.figure, "never seen"):
        is_text = column in ("scheme", "from")
        table.add_column(column, justify="left" if is_text else "right", overflow="fold")
    for one in best_first(result.tried, SHOWN):
        marks = one.long or one.short
        table.add_row(
            f"{one.name} (chosen)" if one is result.chosen else one.name,
            one.origin,
            f"{(one.fitted or one.takes).ram:,}",
            f"{(one.fitted or one.takes).instructions:,}",
            f"{marks.loss:.4f}",
            f"{100 * marks.accuracy:.1f} %" + ("" if one.long else ", short"),
            "" if one.eval is None else spread_text(one.eval),
        )
    return table
