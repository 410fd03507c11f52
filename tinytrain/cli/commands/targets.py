"""`tinytrain targets`: what can be compiled for."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.table import Table

from tinytrain.cli.console import print_json, print_table
from tinytrain.option import Option
from tinytrain.target import Target, targets

PARAMETERS: tuple[Option, ...] = ()


def run(options: argparse.Namespace) -> None:
    """Lists the targets that tinytrain brings along."""
    found = targets()
    if options.json:
        print_json({target.name: _entry(target) for target in found})
        return
    print_table(targets_table(found))


def _entry(target: Target) -> dict[str, object]:
    return {
        "description": target.description,
        "core": target.core,
        "ram": target.ram,
        "flash": target.flash,
        "emulated": target.machine is not None,
        "clock_hz": target.clock_hz,
        "board": None if target.board is None else vars(target.board),
    }


def targets_table(targets: Sequence[Target]) -> Table:
    """A line for each target, within 80 columns for those that tinytrain brings along."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("target", "what it is", "RAM", "flash", "runs"):
        right = column in ("RAM", "flash")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for target in targets:
        runs = "here" if target.is_host else "qemu" if target.machine else "-"
        table.add_row(target.name, target.description, _size(target.ram), _size(target.flash), runs)
    return table


def _size(nbytes: int) -> str:
    """A budget as the command line takes it, rounded."""
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g}{letter}"
    return f"{nbytes / 1024:.0f}K"
