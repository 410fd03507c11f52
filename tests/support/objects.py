"""Objects of C files that tests compile, each once for its contents, compiler and flags."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

from tinytrain.toolchain.objects import FOLDER, contents

KEPT = Path(os.environ[FOLDER]) / "tests"
UNUSED_DAYS = 7


def forget_old() -> None:
    """Removes what neither tests nor builds under test have read for some days."""
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for file in KEPT.parent.rglob("*"):
        # Another process may do the same.
        with contextlib.suppress(OSError):
            status = file.stat()
            if file.is_file() and max(status.st_atime, status.st_mtime) < oldest:
                file.unlink()


def compiled(
    sources: Iterable[Path], include: Sequence[Path], compiler: str, *flags: str
) -> list[Path]:
    """An object for each source, where all tests find it; do not write to it.

    Args:
        include: folders with all headers that the sources include in quotes.
    """
    assert shutil.which(compiler), f"{compiler} is not installed"
    found_of = contents(sources, include)
    KEPT.mkdir(parents=True, exist_ok=True)

    def object_of(source: Path) -> Path:
        found = found_of[source]
        assert found is not None, f"{source.name} includes what there is not"
        identity = _version(compiler) + repr((compiler, flags)).encode() + found
        kept = KEPT / f"{source.stem}-{hashlib.sha256(identity).hexdigest()}.o"
        if not kept.is_file():
            # Another process may be writing the same.
            with tempfile.TemporaryDirectory(dir=KEPT) as place:
                output = Path(place, kept.name)
                folders = [f"-I{folder}" for folder in include]
                run(compiler, *flags, *folders, "-c", source, "-o", output)
                os.replace(output, kept)
        return kept

    with ThreadPoolExecutor(2) as pool:
        return list(pool.map(object_of, found_of))


@cache
def _version(compiler: str) -> bytes:
    return subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout


def run(*command: str | Path) -> None:
    """Runs a command; its output is in the error if it fails."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}"
