"""Builds the runtime as a shared library for the machine that runs the tests."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUNTIME = ROOT / "runtime_c"
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror")

Change = Callable[[str, str], str]
"""From the name and the text of a source file to the text that is compiled in its place."""


def sources(folder: Path = RUNTIME / "src") -> list[Path]:
    """The C files of the runtime."""
    found = sorted(folder.glob("*.c"))
    assert found, f"no sources in {folder}"
    return found


def build(
    folder: Path,
    compiler: str,
    *flags: str,
    change: Change | None = None,
    unchanged: Path | None = None,
    link: bool = True,
) -> Path:
    """Compiles every source on its own and links them; returns the library.

    Args:
        folder: where objects and library go; made if it is missing.
        change: applied to every source before it is compiled.
        unchanged: folder of an earlier build with the same flags and no change, whose objects serve
            for the sources that the change does not reach.
        link: False leaves the objects in the folder, and returns the folder.
    """
    assert shutil.which(compiler), f"{compiler} is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    source_folder, reached = RUNTIME / "src", set[str]()
    if change is not None:
        source_folder = folder / "src"
        source_folder.mkdir()
        texts = {path.name: path.read_text(encoding="utf-8") for path in RUNTIME.glob("src/*.[ch]")}
        changed = {name: change(name, text) for name, text in texts.items()}
        for name, text in changed.items():
            (source_folder / name).write_text(text, encoding="utf-8")
        reached = {name for name in texts if _includes_any(name, texts, changed)}

    def compile_one(source: Path) -> Path:
        if unchanged is not None and source.name not in reached:
            return unchanged / f"{source.stem}.o"
        output = folder / f"{source.stem}.o"
        run(
            compiler,
            *WARNINGS,
            "-fPIC",
            *flags,
            "-I",
            RUNTIME / "include",
            "-c",
            source,
            "-o",
            output,
        )
        return output

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, sources(source_folder)))
    if not link:
        return folder
    library = folder / "runtime.so"
    run(compiler, "-shared", *flags, *objects, "-o", library)
    return library


def _includes_any(name: str, texts: dict[str, str], changed: dict[str, str]) -> bool:
    """Whether a file, or one that it includes, has changed."""
    if texts[name] != changed[name]:
        return True
    included = re.findall(r'^#\s*(?:include|define TT_BODY)\s+"(.+)"', texts[name], re.MULTILINE)
    return any(_includes_any(other, texts, changed) for other in included if other in texts)


def run(*command: str | Path) -> None:
    """Runs a command; its output is in the error if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
