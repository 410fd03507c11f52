"""`tinytrain report`: a page on what a compiled model takes."""

from __future__ import annotations

import argparse

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json, print_table
from tinytrain.cli.tables import facts_table, memory_table
from tinytrain.reports.parameters import REPORT as PARAMETERS
from tinytrain.reports.report import report
from tinytrain.reports.tables import (
    choice_table,
    layers_table,
    peak_table,
    report_facts,
    report_json,
    ways_table,
)

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Writes the page, and shows the same in short."""
    page = report(**arguments_of(options, PARAMETERS))
    manifest = page.manifest
    if options.json:
        print_json(report_json(manifest, page.path))
        return
    ram, flash = manifest.budget.ram, manifest.budget.flash
    print_table(memory_table(manifest.ram, manifest.flash, ram_budget=ram, flash_budget=flash))
    if manifest.choice is not None:
        print_table(choice_table(manifest.choice))
    print_table(peak_table(manifest.arena))
    print_table(layers_table(manifest.layers))
    if manifest.arena.optimizations:
        print_table(ways_table(manifest.arena.optimizations))
    print_table(facts_table(report_facts(manifest)))
    # Below the table, where the narrowest terminal shows it whole.
    print(f"page: {page.path}")
