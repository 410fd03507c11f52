"""Completion of the command line in a shell: a script that the shell reads once."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from typing import Any

from tinytrain.option import FILE, FOLDER

FLAG = "--print-completion"
SHELLS = ("bash", "zsh", "fish", "tcsh")


class PrintCompletion(argparse.Action):
    """Prints the script for a shell, and ends the program, as `--version` does."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        # Imported where it is needed: it takes longer than all else that `--help` does.
        import shtab

        places = {FILE: shtab.FILE, FOLDER: shtab.DIRECTORY}
        for action in _actions(parser):
            kind = vars(action).get("kind")
            if kind in places:
                vars(action)["complete"] = places[kind]
        print(shtab.complete(parser, str(values)))
        parser.exit()


def _actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """What a parser and those of its commands take."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield from _actions(command)
        else:
            yield action
