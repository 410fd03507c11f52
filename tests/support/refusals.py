"""Runs the command line on what is wrong, and holds every refusal to the same rules."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tinytrain.cli import main

Refuse = Callable[..., str]


@pytest.fixture
def refuse(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Refuse:
    """Runs a command that must fail.

    The function takes the exit code and the command's arguments, and returns what came on standard
    error from `error:` on. It holds the command to: one sentence, no traceback, nothing on standard
    output, and no file or folder that was not there before.
    """

    def run(code: int, *arguments: object) -> str:
        before = _tree(tmp_path)
        capsys.readouterr()
        found = main([str(argument) for argument in arguments])
        shown = capsys.readouterr()
        assert found == code, shown.err
        assert shown.out == ""
        assert "Traceback" not in shown.err
        text = shown.err[shown.err.index("error: ") :].removeprefix("error: ").rstrip("\n")
        sentence, *rest = text.split("\n")
        assert sentence and not sentence.endswith((".", ":"))
        assert all(re.match(r"  \S|  +", line) for line in rest), text
        assert _tree(tmp_path) == before
        return text

    return run


def _tree(folder: Path) -> dict[str, object]:
    """Every path with its content, of an enormous file only its size."""

    def held(path: Path) -> object:
        if not path.is_file():
            return None
        size = path.stat().st_size
        return path.read_bytes() if size < 2**24 else size

    return {path.relative_to(folder).as_posix(): held(path) for path in sorted(folder.rglob("*"))}
