"""The commands of the command line: one row a command, its module imported when it is asked for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from tinytrain.option import GENERAL, SWITCH, Option

AS_JSON = Option("print JSON instead of tables", GENERAL, "json", SWITCH, default=False)
"""How a command prints, of which its function in Python knows nothing."""


@dataclass(frozen=True)
class Command:
    """One command; the function of the Python API that it calls has its name and its parameters.

    Its module in `cli.commands` has `PARAMETERS`, the rows of what it takes, and `run`, which calls
    the function and prints what it gives.

    Attributes:
        help: what it does, in one line.
        details: what else its own `--help` says.
        has_json: whether it can print JSON.
    """

    name: str
    help: str
    details: str = ""
    has_json: bool = True

    @property
    def parameters(self) -> Sequence[Option]:
        """What its function in Python takes."""
        found: Sequence[Option] = self._from_module("PARAMETERS")
        return found

    @property
    def options(self) -> Sequence[Option]:
        """What the command line takes."""
        return (*self.parameters, AS_JSON) if self.has_json else self.parameters

    @property
    def run(self) -> Callable[[argparse.Namespace], None]:
        """Calls the function and prints; raises what it cannot do."""
        found: Callable[[argparse.Namespace], None] = self._from_module("run")
        return found

    def _from_module(self, name: str) -> Any:
        return getattr(import_module(f"tinytrain.cli.commands.{self.name}"), name)


COMMANDS = (
    Command("compile", "write the C sources of a model that trains"),
    Command("simulate", "train a compiled model on this machine or under emulation"),
    Command(
        "package",
        "write an archive of compiled models for Arduino, PlatformIO, Zephyr, ESP-IDF, CMake or as "
        "a CMSIS-Pack",
    ),
    Command("watch", "let a compiled model learn what is normal, and measure what it flags"),
    Command(
        "migrate",
        "take what was learned from a saved file of an older format or another scheme",
    ),
    Command(
        "experiment",
        "compare models, data, schemes and rules: many runs, tables and plots",
        has_json=False,
    ),
    Command(
        "search",
        "find what to train within a budget, for your data: a scheme, and a page of all that was "
        "tried",
    ),
    Command(
        "inspect",
        "show layers, MACs, what can be trained and what is missing",
        "With --scheme also what that trains, a learning rate that suits it, and options that are "
        "known to fail.",
    ),
    Command(
        "verify",
        "compare a model with its format's reference, its s8 layers with it, the C with both",
        "A model file has its import compared and, where its ranges are known, each layer in s8. A "
        "folder has its C compared, too, as it runs on this machine.",
    ),
    Command("kernels", "show which kernels a compiled model calls, and what they are estimated at"),
    Command(
        "report", "write a page on what a compiled model takes: the arena over time, layers, time"
    ),
    Command(
        "sign",
        "sign a saved file for devices that take only what is signed, or verify one",
        "Ed25519 by COSE, as docs/signing.md has it; needs the extra `signing`.",
    ),
    Command(
        "monitor",
        "watch a board at a serial port learn: loss, accuracy, rate, health and memory",
        "It needs a program with the link (docs/link.md). With --json each reading is an object on "
        "a line of its own.",
    ),
    Command(
        "flash",
        "put the program of a compiled model into a board",
        "Prints each command before it runs it; docs/boards.md shows it board by board.",
    ),
    Command("targets", "list the targets and boards"),
    Command("doctor", "say what is installed, what is missing, and how to get it"),
)


def command_named(name: str) -> Command:
    """The row of a command."""
    (found,) = (command for command in COMMANDS if command.name == name)
    return found


def arguments_of(options: argparse.Namespace, rows: Sequence[Option]) -> dict[str, Any]:
    """What was given for the parameters of a function, by their names in Python."""
    return {row.name: getattr(options, row.name) for row in rows}
