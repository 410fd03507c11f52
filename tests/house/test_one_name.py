"""One thing has one name: on the command line, in Python and in an experiment's file."""

from __future__ import annotations

import inspect
from dataclasses import fields

import pytest

import tinytrain
from tinytrain.cli.command import COMMANDS, Command
from tinytrain.cli.parser import make_parser
from tinytrain.compiler.options import OPTIONS, Options

IN_PYTHON_ALONE = {"example", "progress", "race_progress", "tell", "warn"}
"""Objects, which no command line can take: a module's input, and who hears how it goes on."""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_a_command_takes_what_its_function_takes(command: Command) -> None:
    name = "compile_model" if command.name == "compile" else command.name
    assert name in tinytrain.__all__
    parameters = dict(inspect.signature(getattr(tinytrain, name)).parameters)
    wanted = {row.name: row for row in command.parameters}
    # `**options` stands for the fields of `Options`.
    if parameters.pop("options", None):
        wanted = {
            key: row for key, row in wanted.items() if key in parameters or key not in OPTIONS
        }
    assert set(parameters) - IN_PYTHON_ALONE == set(wanted)
    for key, row in wanted.items():
        default = parameters[key].default
        assert row.required == (default is inspect.Parameter.empty), key
        assert row.required or str(row.default) == str(default), key


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_parser_has_every_row(command: Command) -> None:
    words = [command.name]
    for row in command.parameters:
        if row.required:
            value = str(row.low or 1) if row.high is not None else str((*row.choices, "x")[0])
            words += [value] if row.positional else [row.flag, value]
    given = vars(make_parser(words).parse_args(words))
    # Beside the name of the command, and what every command has.
    assert set(given) - {"command", "print_completion"} == {row.name for row in command.options}
    for row in command.parameters:
        assert row.required or given[row.name] == row.default, row.name


def test_every_field_of_the_options_has_a_row() -> None:
    assert [field.name for field in fields(Options)] == list(OPTIONS)
    assert all(row.help and row.name and not row.positional for row in OPTIONS.values())


def test_what_dir_shows_is_what_is_public() -> None:
    assert dir(tinytrain) == sorted(tinytrain.__all__)
    for name in tinytrain.__all__:
        assert getattr(tinytrain, name).__doc__, name
