"""`tinytrain flash`: the program of a compiled folder, into a board."""

from __future__ import annotations

import argparse

from tinytrain.boards.flash import flash
from tinytrain.boards.parameters import FLASH as PARAMETERS
from tinytrain.cli.command import arguments_of
from tinytrain.cli.console import print_json

__all__ = ["PARAMETERS", "run"]


def run(options: argparse.Namespace) -> None:
    """Prints each command, and runs it."""
    say = (lambda line: None) if options.json else print
    result = flash(**arguments_of(options, PARAMETERS), tell=say)
    if options.json:
        print_json({**vars(result), "program": str(result.program)})
