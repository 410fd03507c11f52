"""Compiles the generated sources into a shared library of this machine, for `HostLibrary`."""

from __future__ import annotations

import hashlib
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import ToolchainError, Where
from tinytrain.manifest.interface import ModelInterface
from tinytrain.simulation.host import processor_flags
from tinytrain.target import load_target
from tinytrain.toolchain.commands import disk_full, require
from tinytrain.toolchain.objects import contents
from tinytrain.toolchain.template import render


def build_library(
    directory: Path,
    model: ModelInterface,
    cache: Path,
    *,
    compiler: str | None = None,
    optimise: str = "-O3",
) -> Path:
    """Compile the sources of a generated folder into a shared library.

    Args:
        directory: holds `src` and `include` as `tinytrain compile` writes them.
        model: of the folder.
        cache: folder for objects and libraries, which are found again by their content; several
            processes may use it at once.
        compiler: the C compiler's command; None takes the host target's.
        optimise: the optimisation flag.

    Returns:
        The library.

    Raises:
        ToolchainError: the compiler is missing, or refuses the sources; one is not whole.
    """
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache) as place:
        work = _Work(directory, Path(place), cache, _compiler(compiler), _flags(optimise))
        driver = render("codegen", "library.c.j2", NAME=model.name.upper(), **vars(model))
        (work.scratch / "library.c").write_text(driver, encoding="utf-8")
        objects = list(work.objects())
        digest = hashlib.sha256("".join(file.name for file in objects).encode())
        library = cache / f"{model.name}-{digest.hexdigest()[:32]}.so"
        if not library.is_file():
            made = work.scratch / library.name
            _run([*work.compiler, "-shared"], objects, made)
            made.replace(library)
    return library


def _compiler(asked: str | None) -> tuple[str, ...]:
    command = shlex.split(asked or load_target("host").compiler)
    require(command[0])
    return tuple(command)


def _flags(optimise: str) -> tuple[str, ...]:
    target = load_target("host")
    return (optimise, *target.compile_flags, *processor_flags(), "-DTT_KEEP_FROZEN", "-fPIC")


@dataclass(frozen=True)
class _Work:
    """What is compiled, where, and how.

    Attributes:
        directory: the generated folder.
        scratch: holds the driver; for files that are not whole yet.
        cache: folder for objects.
        compiler: its command.
        flags: to compile with.
    """

    directory: Path
    scratch: Path
    cache: Path
    compiler: tuple[str, ...]
    flags: tuple[str, ...]

    def objects(self) -> Iterator[Path]:
        """The object of each source, compiled where the cache does not have it, on all processors.

        Raises:
            ToolchainError: a source cannot be compiled; the others are done then.
        """
        sources = [*sorted((self.directory / "src").glob("*.c")), self.scratch / "library.c"]
        folders = [(self.directory / part).resolve() for part in ("include", "src")]
        includes = [f"-I{folder}" for folder in folders]
        base = hashlib.sha256("\0".join([*self.compiler, *self.flags]).encode())

        def compiled(source: Path, reached: bytes | None) -> Path:
            if reached is None:
                raise ToolchainError(
                    "it includes a file that the folder does not have",
                    where=Where(str(source)),
                    help="let `tinytrain compile MODEL -o DIR` write the folder anew",
                )
            digest = base.copy()
            digest.update(reached)
            found = self.cache / f"{digest.hexdigest()}.o"
            if not found.is_file():
                made = self.scratch / found.name
                _run([*self.compiler, *self.flags, *includes, "-c"], [source], made)
                made.replace(found)
            return found

        # A file of the runtime does not reach the model's headers: it is compiled once for all.
        reaches = contents(sources, folders)
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(compiled, reaches.keys(), reaches.values())


def _run(command: Sequence[str], files: Sequence[Path], output: Path) -> None:
    done = subprocess.run(
        [*command, *(str(file.resolve()) for file in files), "-o", str(output)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env={**os.environ, "LC_ALL": "C"},
        check=False,
    )
    if done.returncode != 0:
        raise disk_full(done.stderr, output.parent.parent) or ToolchainError(
            f"'{command[0]}' cannot build '{output.name}' from '{files[0].name}'",
            detail="\n".join(done.stderr.splitlines()[-20:]),
        )
