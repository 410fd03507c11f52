"""Builds the runtime as a shared library for the machine that runs the tests."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tests.support.paths import RUNTIME
from tinytrain.target import WARNINGS
from tinytrain.toolchain.objects import FOLDER, contents

KEPT = Path(os.environ[FOLDER]) / "runtime"
STRICT = ("-std=c11", *WARNINGS)

Change = Callable[[str, str], str]
"""From the name and the text of a source file to the text that is compiled in its place."""


def sources(folder: Path = RUNTIME / "src") -> list[Path]:
    """The C files of the runtime."""
    found = sorted(folder.glob("*.c"))
    assert found, f"no sources in {folder}"
    return found


def build(
    folder: Path, compiler: str, *flags: str, change: Change | None = None, link: bool = True
) -> Path:
    """Compiles every source on its own and links them; returns the library.

    What was compiled before by the same command from the same files is not compiled again.

    Args:
        folder: where objects and library go; made if it is missing.
        change: applied to every source before it is compiled.
        link: False leaves the objects in the folder, and returns the folder.
    """
    assert shutil.which(compiler), f"{compiler} is not installed"
    folder.mkdir(parents=True, exist_ok=True)
    source_folder = RUNTIME / "src"
    if change is not None:
        source_folder = folder / "src"
        source_folder.mkdir()
        for path in RUNTIME.glob("src/*.[ch]"):
            text = change(path.name, path.read_text(encoding="utf-8"))
            (source_folder / path.name).write_text(text, encoding="utf-8")
    command = (compiler, *STRICT, "-fPIC", *flags, "-I", RUNTIME / "include", "-c")

    found_of = contents(sources(source_folder), (source_folder, RUNTIME / "include"))

    def compile_one(source: Path) -> Path:
        found = found_of[source]
        assert found is not None, f"{source.name} includes what there is not"
        key = hashlib.sha256(version_of(compiler) + repr(command).encode() + found).hexdigest()
        output, kept = folder / f"{source.stem}.o", KEPT / f"{key}.o"
        if kept.is_file():
            shutil.copyfile(kept, output)
        else:
            run(*command, source, "-o", output)
            KEPT.mkdir(parents=True, exist_ok=True)
            # Another process may be writing the same.
            with tempfile.TemporaryDirectory(dir=KEPT) as place:
                os.replace(shutil.copyfile(output, Path(place, kept.name)), kept)
        return output

    with ThreadPoolExecutor(2) as pool:
        objects = list(pool.map(compile_one, found_of))
    if not link:
        return folder
    library = folder / "runtime.so"
    run(compiler, "-shared", *flags, *objects, "-o", library)
    return library


@cache
def version_of(compiler: str) -> bytes:
    """What a compiler says of itself."""
    return subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout


def run(*command: str | Path) -> None:
    """Runs a command; its output is in the error if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
