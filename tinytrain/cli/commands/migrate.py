"""`tinytrain migrate`: what was learned under an older format or another scheme."""

from __future__ import annotations

import argparse

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_table
from tinytrain.cli.tables import facts_table
from tinytrain.simulation.migrate import Migration, migrate
from tinytrain.simulation.parameters import MIGRATE as PARAMETERS

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Writes the file, and shows what of the old one is in it."""
    found = migrate(**arguments_of(options, PARAMETERS))
    if options.json:
        print(found.to_json())
        return
    print_table(tensors_table(found))
    facts = {"format": found.format, "steps": f"{found.steps:,}"}
    learned = sum(tensor.learned for tensor in found.tensors)
    facts["taken"] = f"{found.elements:,} of {learned:,} weights and biases"
    facts["all else"] = "taken, too" if found.is_whole else "as compiled"
    print_table(facts_table(facts))


def tensors_table(found: Migration) -> Table:
    """A line for each tensor of either scheme."""
    table = Table()
    for column in ("layer", "what", "learned", "taken"):
        table.add_column(column, justify="left" if column in ("layer", "what") else "right")
    table.add_column("why not more")
    for one in found.tensors:
        table.add_row(one.layer, one.role, f"{one.learned:,}", f"{one.taken:,}", one.why)
    return table
