"""Headers in strict C++ of every standard since 2011, sources for a compiler of 2015."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.host_programs import Compile
from tinytrain import resources

STRICT = ("-pedantic-errors", "-Wall", "-Wextra", "-Werror", "-fsyntax-only")
RUNTIME = resources.folder("runtime_c")


def check(compiler: str, source: Path, *flags: str) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"{compiler} is missing")
    done = subprocess.run(
        [compiler, *flags, str(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def folder(generated: Compile) -> Path:
    """A model with much that a header can have."""
    return generated("full", replay=4, guard=8, self_test=True)


@pytest.mark.parametrize("compiler", ["g++", "clang++"])
@pytest.mark.parametrize("standard", ["c++11", "c++14", "c++17", "c++20"])
def test_headers_in_strict_cpp(standard: str, compiler: str, folder: Path, tmp_path: Path) -> None:
    """Each on its own, every macro with its value, in a program that is built for speed alone."""
    headers = [*sorted((RUNTIME / "include").glob("*.h")), folder / "src" / "full.h"]
    assert len(headers) > 15
    flags = (f"-std={standard}", *STRICT, f"-I{folder / 'src'}", f"-I{RUNTIME / 'include'}")
    for header in headers:
        program, is_model = tmp_path / f"{header.stem}.cpp", header.stem == "full"
        text = header.read_text(encoding="utf-8") if is_model else ""
        macros = set(re.findall(r"^#define (FULL_\w+) \S", text, re.MULTILINE)) - _UNDEFINED
        assert bool(macros) == is_model
        values = [
            f"extern const double {name}_;\nconst double {name}_ = double({name});\n"
            for name in sorted(macros)
        ]
        program.write_text(f'#include "{header.name}"\n{"".join(values)}')
        check(compiler, program, *flags, *(["-ffast-math"] if is_model else []))


_UNDEFINED = {"FULL_FROZEN_BYTES"}
"""There only with TT_KEEP_FROZEN."""


@pytest.mark.parametrize("mode", ["c11", "gnu11"])
def test_an_old_compiler_takes_the_runtime(mode: str, folder: Path) -> None:
    """gcc 5 is what Debian has for AVR, whose int has 16 bits: no program for it comes of this, but
    no builtin and no attribute that is younger gets past it. Sources for Arm's instruction sets are
    empty there."""
    if shutil.which("avr-gcc") is None:
        pytest.skip("avr-gcc is missing")
    include = [RUNTIME / "include", RUNTIME / "src", folder / "src"]
    names = ("attributes", "pragmas", "implicit-function-declaration")
    flags = [
        *("-mmcu=atmega2560", f"-std={mode}", "-fsyntax-only", "-Wno-shift-count-overflow"),
        *(f"-Werror={name}" for name in names),
        *(f"-I{place}" for place in include),
    ]
    sources = [*sorted((RUNTIME / "src").glob("*.c")), *sorted((folder / "src").glob("full*.c"))]
    done = subprocess.run(
        ["avr-gcc", *flags, *map(str, sources)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
