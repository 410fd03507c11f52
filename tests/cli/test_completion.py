"""Completion in a shell: the script that is printed, read by bash itself."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import shtab

from tinytrain.cli.command import COMMANDS
from tinytrain.cli.completion import SHELLS
from tinytrain.cli.parser import parse
from tinytrain.compiler.options import OPTIONS

COMPLETE = """
source ./completion.bash
COMP_WORDS=({words} '{last}')
COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
COMP_LINE="${{COMP_WORDS[*]}}"
COMP_POINT=${{#COMP_LINE}}
"$(complete -p tinytrain | sed 's/.* -F \\([^ ]*\\) .*/\\1/')"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as caught:
        parse(["--print-completion", shell])
    assert caught.value.code == 0
    return capsys.readouterr().out


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Where bash is started: with the script, a model and a folder."""
    (tmp_path / "completion.bash").write_text(script("bash", capsys))
    (tmp_path / "own.onnx").touch()
    (tmp_path / "own").mkdir()
    return tmp_path


def completed(folder: Path, words: str, last: str) -> set[str]:
    done = subprocess.run(
        ["bash", "--norc", "-c", COMPLETE.format(words=words, last=last)],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    return set(done.stdout.split())


def test_bash_completes_commands_and_options(folder: Path) -> None:
    assert completed(folder, "tinytrain", "") >= {command.name for command in COMMANDS}
    assert completed(folder, "tinytrain", "sim") == {"simulate"}
    assert completed(folder, "tinytrain compile", "--grad") == {"--gradient"}
    assert completed(folder, "tinytrain simulate", "--rep") == {"--replay-steps"}


def test_bash_completes_values_files_and_folders(folder: Path) -> None:
    assert completed(folder, "tinytrain compile --gradient", "s") == {"s8", "s16"}
    assert completed(folder, "tinytrain compile", "ow") == {"own", "own.onnx"}
    assert completed(folder, "tinytrain compile -o", "ow") == {"own"}
    assert completed(folder, "tinytrain simulate", "ow") == {"own"}


def test_what_only_comparisons_need_is_not_completed(folder: Path) -> None:
    shown = completed(folder, "tinytrain compile", "--")
    for row in OPTIONS.values():
        assert (row.flag in shown) != row.comparison, row.flag


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_has_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell in shtab.SUPPORTED_SHELLS
    text = script(shell, capsys)
    assert all(command.name in text for command in COMMANDS)
    assert "gradient" in text
