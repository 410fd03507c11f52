"""`tinytrain kernels`: which kernels a compiled model calls."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.table import Table

from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json, print_table
from tinytrain.cli.tables import kernels_summary
from tinytrain.manifest import to_json
from tinytrain.manifest.arena import KernelRecord
from tinytrain.reports.parameters import KERNELS as PARAMETERS
from tinytrain.reports.report import kernels

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Shows the kernel of each node beside those that were considered."""
    found = kernels(**arguments_of(options, PARAMETERS))
    if options.json:
        print_json(to_json(found))
        return
    print_table(kernels_table(found))
    print(kernels_summary(found))


def kernels_table(kernels: Sequence[KernelRecord]) -> Table:
    """A line for each node: its kernel, workspace and estimate, and the estimates of the others."""
    table = Table()
    for column in ("node", "kernel", "instructions", "workspace", "others"):
        right = column in ("instructions", "workspace")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for entry in kernels:
        others = {name: cost for name, cost in entry.considered.items() if name != entry.kernel}
        table.add_row(
            entry.node,
            entry.kernel,
            f"{entry.instructions:,}",
            f"{entry.scratch:,}",
            ", ".join(f"{name} {cost:,}" for name, cost in others.items()),
        )
    return table
