"""The C sources keep the style of .clang-format, and its width where it is told to keep off."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
WIDTH = 100


def _c_files() -> list[Path]:
    folders = ("bench", "runtime_c", "targets", "tests")
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.[ch]"))


def test_every_file_is_formatted() -> None:
    """`make format` brings the files in order that this names."""
    program = Path(sys.executable).with_name("clang-format")
    done = subprocess.run(
        [program, "--dry-run", "--Werror", *_c_files()], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_no_line_is_longer_than_the_style_allows() -> None:
    """clang-format lets strings, long words and what it is told to keep off pass."""
    long = [
        f"{file.relative_to(ROOT)}:{number}: {line}"
        for file in _c_files()
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if len(line) > WIDTH
    ]
    assert not long, "\n".join(long)
