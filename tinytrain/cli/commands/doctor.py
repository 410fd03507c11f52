"""`tinytrain doctor`: what is installed, what is missing, and how to get it."""

from __future__ import annotations

import argparse

from rich.table import Table
from rich.text import Text

from tinytrain.cli.console import print_json, print_table
from tinytrain.errors import ToolchainError
from tinytrain.option import Option
from tinytrain.toolchain.doctor import Diagnosis, doctor

PARAMETERS: tuple[Option, ...] = ()


def run(options: argparse.Namespace) -> None:
    """Shows what was found.

    Raises:
        ToolchainError: nothing at all can be compiled.
    """
    found = doctor()
    if options.json:
        print_json(_entry(found))
    else:
        print(f"tinytrain {found.tinytrain}, Python {found.python}, {found.system}")
        print(f"{found.cpu}, {found.cores} cores")
        print_table(_tools_table(found))
        print_table(_targets_table(found))
        for tool in found.missing:
            print(f"missing: {tool.name} ({tool.use}): {tool.get}")
    if not found.can_compile:
        raise ToolchainError(
            "no target can be compiled for",
            help="install what is missing; on Debian or Ubuntu `make setup` does it in a checkout",
        )


def _tools_table(found: Diagnosis) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("tool", "what it is for", "version"):
        table.add_column(column, overflow="fold")
    for state in found.tools:
        version = Text("missing", style="bold red") if state.version is None else state.version
        table.add_row(state.tool.name, state.tool.use, version)
    return table


def _targets_table(found: Diagnosis) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("target", "compiles", "runs", "missing"):
        table.add_column(column, overflow="fold")
    for state in found.targets:
        compiles = "yes" if state.compiles else Text("no", style="bold red")
        table.add_row(state.name, compiles, state.runs or "-", ", ".join(state.missing))
    return table


def _entry(found: Diagnosis) -> dict[str, object]:
    return {
        "tinytrain": found.tinytrain,
        "python": found.python,
        "system": found.system,
        "cpu": found.cpu,
        "cores": found.cores,
        "tools": {
            state.tool.name: {
                "use": state.tool.use,
                "version": state.version,
                "get": state.tool.get,
            }
            for state in found.tools
        },
        "targets": {
            state.name: {
                "compiles": state.compiles,
                "runs": state.runs,
                "missing": list(state.missing),
            }
            for state in found.targets
        },
    }
