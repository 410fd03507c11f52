"""What the command line takes and shows."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tinytrain.cli.command import COMMANDS, Command
from tinytrain.cli.parser import parse
from tinytrain.compiler.parameters import COMPILE, GROUPS
from tinytrain.errors import UsageError


def compile_words(*words: str) -> list[str]:
    return ["compile", "model.onnx", "-o", "out", *words]


def shown(command: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        parse([command, "--help"])
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_choice_can_be_named(command: Command) -> None:
    for row in command.parameters:
        assert [row.parse(str(choice)) for choice in row.choices] == list(row.choices)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_help_shows_what_is_not_for_comparisons(
    command: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(command.name, capsys)
    for row in command.options:
        is_shown = re.search(rf"^ .*{re.escape(row.flag)}\b", text, re.MULTILINE) is not None
        assert is_shown != row.comparison, row.flag
    hidden = any(row.comparison for row in command.options)
    assert ("only comparisons need are in docs/options.md" in text) == hidden


def test_options_of_compile_are_shown_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown("compile", capsys)
    assert text.startswith("usage: tinytrain compile [OPTIONS] -o DIR MODEL\n")
    places = [text.index(f"\n{group.title}:\n  {group.help}\n") for group in GROUPS[1:]]
    assert places == sorted(places)
    for group in GROUPS:
        shown_rows = [row for row in COMPILE if row.group is group and not row.comparison]
        assert 1 <= len(shown_rows) <= 8, group


def test_what_only_comparisons_need_is_still_taken() -> None:
    given = parse(compile_words("--no-qas", "--update", "nearest", "--seed", "3"))
    assert (given.qas, given.update, given.seed) == (False, "nearest", 3)


@pytest.mark.parametrize(
    ("text", "size"), [("4096", 4096), ("256K", 2**18), ("1MiB", 2**20), ("2 kB", 2048)]
)
def test_sizes(text: str, size: int) -> None:
    assert parse(compile_words("--ram", text)).ram == size


@pytest.mark.parametrize("text", ["0", "-1", "1G", "K", "1.5M"])
def test_what_is_no_size(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(compile_words(f"--ram={text}"))
    told = caught.value.on_command_line()
    assert "--ram must be a size such as 262144, 256K or 1M, got" in told


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "the following arguments are required: COMMAND\n  help: `tinytrain --help` says"),
        (["compil"], "argument COMMAND: invalid choice: 'compil'"),
        (["compile", "m.onnx"], "required: -o/--output\n  help: `tinytrain compile --help` says"),
        (
            compile_words("--learnin-rate", "1"),
            "compile takes no '--learnin-rate'\n  help: did you mean --learning-rate?",
        ),
        (
            compile_words("--lr=1"),
            "compile takes no '--lr=1'\n  help: `tinytrain compile --help` lists them",
        ),
        (compile_words("--resize", "8", "8"), "compile takes no '--resize'\n  help: `tinytrain"),
        (["targets", "mine"], "targets takes no 'mine'"),
    ],
)
def test_words_that_make_no_sense(words: list[str], told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(words)
    assert told in caught.value.on_command_line()


def test_only_the_options_of_the_command_are_made() -> None:
    """`tinytrain --help` is quick, as it waits for neither NumPy nor what a command needs."""
    code = (
        "import sys\n"
        "from tinytrain.cli.parser import make_parser\n"
        "make_parser(['--help'])\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
