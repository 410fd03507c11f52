"""Builds the runtime as a shared library for the machine that runs the tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.support.objects import compiled, run
from tests.support.paths import RUNTIME
from tinytrain.target import WARNINGS

STRICT = ("-std=c11", *WARNINGS)

Change = Callable[[str, str], str]
"""From the name and the text of a source file to the text that is compiled in its place."""


def objects(compiler: str, *flags: str, sources: Path = RUNTIME / "src") -> list[Path]:
    """Every C file of the runtime, compiled on its own.

    Args:
        sources: the folder that they lie in.
    """
    found = sorted(sources.glob("*.c"))
    assert found, f"no sources in {sources}"
    include = (sources, RUNTIME / "include")
    return compiled(found, include, compiler, *STRICT, "-fPIC", *flags)


def build(folder: Path, compiler: str, *flags: str, change: Change | None = None) -> Path:
    """Compiles every source and links them; returns the library.

    Args:
        folder: where the library goes; made if it is missing.
        change: applied to every source before it is compiled.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = RUNTIME / "src"
    if change is not None:
        sources = folder / "src"
        sources.mkdir()
        for path in RUNTIME.glob("src/*.[ch]"):
            text = change(path.name, path.read_text(encoding="utf-8"))
            (sources / path.name).write_text(text, encoding="utf-8")
    library = folder / "runtime.so"
    made = objects(compiler, *flags, sources=sources)
    run(compiler, "-shared", *flags, *made, "-o", library)
    return library
