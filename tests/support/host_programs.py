"""Small C programs that use generated folders as an application would, built for the host."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.objects import compiled, run
from tests.support.paths import ROOT
from tests.support.surroundings import HANGS
from tinytrain.target import WARNINGS

SANITIZERS = ("-g", "-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
STRICT = ("-std=c11", "-ffp-contract=off", *WARNINGS)
PROGRAMS = ROOT / "tests" / "firmware" / "programs"

Compile = Callable[..., Path]


@dataclass(frozen=True)
class Program:
    """A built program; `run` gives its output."""

    path: Path

    def run(self, *arguments: object) -> str:
        done = subprocess.run(
            [str(self.path), *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=HANGS,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout


def link(
    program: str,
    folders: Sequence[Path],
    place: Path,
    *,
    flags: Sequence[str] = SANITIZERS,
    compiler: str = "gcc",
    more: Sequence[Path] = (),
) -> Program:
    """Builds programs/NAME.c with the sources of one or several generated folders, and `more`.

    The runtime's files are the same in every folder; each is compiled once.
    """
    sources: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((folder / "src").glob("*.c")):
            same = sources.setdefault(file.name, file)
            assert same.read_bytes() == file.read_bytes()
    include = [folder / part for folder in folders for part in ("include", "src")]
    include += [file.parent for file in more]
    files = [PROGRAMS / program, *more, *sources.values()]
    made = compiled(files, [PROGRAMS, *include], compiler, *STRICT, *flags)
    output = place / Path(program).stem
    run(compiler, *flags, *made, "-o", output)
    return Program(output)
