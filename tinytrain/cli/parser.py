"""The parser of the command line, made of the commands and the rows of their options."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Sequence
from typing import Any, NoReturn

from tinytrain.cli.command import COMMANDS, Command, command_named
from tinytrain.cli.completion import FLAG, SHELLS, PrintCompletion
from tinytrain.errors import ERRORS, TinytrainError, UsageError
from tinytrain.option import GENERAL, SWITCH, Group, Option
from tinytrain.version import __version__

_EXIT_CODES = """\
exit codes:
  0    done
  1    this machine refused: no memory, no room on the disk, a file that cannot be accessed
{errors}
  130  interrupted, 143 terminated; nothing is left half written
"""
_MANY = 2**20
"""A range up to there says no more than that the number is not negative."""

_COMPARISONS = "Options that only comparisons need are in docs/options.md."


class Parser(argparse.ArgumentParser):
    """Raises UsageError where argparse would print its usage and leave."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message, help=f"`{self.prog} --help` says what it takes")


def make_parser(words: Sequence[str] | None = None) -> Parser:
    """The parser of all commands; `command` of what it gives names the one that was chosen.

    Args:
        words: of the command line; the options of commands that are not among them are left out,
            which saves importing what they are made of. None leaves out nothing.
    """
    parser = Parser(
        prog="tinytrain",
        description="Compile a trained model into C that goes on training on a microcontroller.",
        epilog=_EXIT_CODES.format(errors="\n".join(map(_exit_code, ERRORS))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinytrain {__version__}")
    parser.add_argument(
        FLAG, action=PrintCompletion, choices=SHELLS, help="print a script that completes commands"
    )
    found = parser.add_subparsers(
        title="commands", dest="command", required=True, metavar="COMMAND"
    )
    for command in COMMANDS:
        made = found.add_parser(command.name, help=command.help, description=_description(command))
        if words is None or command.name in words or FLAG in words:
            made.usage = _usage(command)
            _add_options(made, command.options)
    return parser


def parse(words: Sequence[str]) -> argparse.Namespace:
    """What a command line says; its `command` is the name of one of `COMMANDS`.

    Raises:
        UsageError: an option is unknown, is missing, or has a value that it cannot have.
    """
    options, unknown = make_parser(words).parse_known_args(words)
    if unknown:
        raise _unknown(unknown[0], command_named(options.command))
    return options


def _description(command: Command) -> str:
    return f"{command.help[0].upper()}{command.help[1:]}. {command.details}".rstrip()


def _exit_code(error: type[TinytrainError]) -> str:
    meaning = str(error.__doc__).partition("\n")[0].rstrip(".")
    return f"  {error.exit_code:<5}{meaning[0].lower()}{meaning[1:]} ({error.__name__})"


def _usage(command: Command) -> str:
    """In short: what must be given; the options are listed below."""
    given = [row for row in command.options if row.required]
    words = [
        *(f"{row.short or row.flag} {row.metavar}" for row in given if not row.positional),
        *(f"{row.flag}{' ...' if row.several else ''}" for row in given if row.positional),
    ]
    return " ".join(("tinytrain", command.name, "[OPTIONS]", *words))


def _add_options(parser: argparse.ArgumentParser, rows: Sequence[Option]) -> None:
    groups: dict[Group, Any] = {GENERAL: parser}
    for row in rows:
        group = parser if row.positional else groups.get(row.group)
        if group is None:
            group = groups[row.group] = parser.add_argument_group(row.group.title, row.group.help)
        _add_option(group, row)
    if any(row.comparison for row in rows):
        parser.epilog = _COMPARISONS


def _add_option(parser: Any, row: Option) -> None:
    shown = argparse.SUPPRESS if row.comparison else help_of(row).replace("%", "%%")
    if row.positional:
        count = {"nargs": "+"} if row.several else {}
        made = parser.add_argument(row.name, type=row.parse, metavar=row.flag, help=shown, **count)
        vars(made)["kind"] = row.kind
        return
    flags = [row.short] if row.short else []
    how: dict[str, Any] = {"dest": row.name, "default": row.default, "help": shown}
    if row.kind is SWITCH:
        how["action"] = "store_false" if row.default else "store_true"
    else:
        how |= {"type": row.parse, "metavar": row.metavar, "required": row.required}
        how |= {"choices": _Shown(row.choices)} if row.choices else {}
        how |= {"nargs": "+"} if row.several else {}
    made = parser.add_argument(*flags, row.flag, **how)
    # What a shell completes it with.
    vars(made)["kind"] = row.kind


def help_of(row: Option) -> str:
    """What `--help` says of an option: its use, its range where it is short, its default."""
    parts = [] if row.high is None or row.high >= _MANY else [row.values]
    default = row.special if row.default is None else row.default_text
    parts += [f"default: {default}"] if default else []
    return f"{row.help} ({'; '.join(parts)})" if parts else row.help


class _Shown(tuple[Any, ...]):
    """Choices that a parser shows and completes; `parse` has checked them."""

    def __contains__(self, value: object) -> bool:
        return True


def _unknown(word: str, command: Command) -> UsageError:
    flags = [row.flag for row in command.options]
    close = difflib.get_close_matches(word.split("=")[0], flags, n=1, cutoff=0.75)
    ways = f"did you mean {close[0]}?" if close else f"`tinytrain {command.name} --help` lists them"
    return UsageError(f"{command.name} takes no '{word}'", help=ways)
