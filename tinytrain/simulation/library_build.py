"""Compiles the generated sources into a shared library of this machine, for `HostLibrary`."""

from __future__ import annotations

import hashlib
import math
import os
import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinytrain.errors import ToolchainError, UsageError, Where
from tinytrain.simulation.host import processor_flags
from tinytrain.target import load_target
from tinytrain.toolchain.build import require
from tinytrain.toolchain.objects import contents
from tinytrain.toolchain.template import render


@dataclass(frozen=True)
class LibraryModel:
    """What a library has to know of its model; a manifest has it all.

    Attributes:
        name: C prefix.
        classes: at least 2.
        input_size: elements of an input.
        saved_bytes: of a saved file.
        frozen_bytes: what frozen layers leave for the others; 0 where there are none.
        replay: whether it has a replay buffer, in RAM.
        feed_rows: rows that a sample is fed in; 0 where it is written as a whole.
    """

    name: str
    classes: int
    input_size: int
    saved_bytes: int
    frozen_bytes: int
    replay: bool = False
    feed_rows: int = 0

    def __post_init__(self) -> None:
        if self.classes < 2:
            raise UsageError(
                f"model '{self.name}' is a regression, which the host library does not train",
                help="use 'tinytrain simulate'",
            )


def library_model(manifest: Mapping[str, Any]) -> LibraryModel:
    """What a folder's manifest says of its model."""
    shape = manifest["input"]["shape"]
    return LibraryModel(
        name=str(manifest["name"]),
        classes=int(manifest["output"]["classes"]),
        input_size=math.prod(int(size) for size in shape),
        saved_bytes=int(manifest["saved_bytes"]),
        frozen_bytes=int(manifest["frozen_bytes"]),
        replay=manifest.get("replay") is not None,
    )


def build_library(
    directory: Path,
    model: LibraryModel,
    cache: Path,
    *,
    compiler: str | None = None,
    optimise: str = "-O3",
) -> Path:
    """Compile the sources of a generated folder into a shared library.

    Args:
        directory: holds `src` and `include` as `tinytrain compile` writes them.
        cache: folder for objects and libraries, which are found again by their content; several
            processes may use it at once.
        compiler: the C compiler's command; None takes the host target's.
        optimise: the optimisation flag.

    Returns:
        The library.

    Raises:
        ToolchainError: the compiler is missing, or refuses the sources; one is not whole.
    """
    target = load_target("host")
    command = compiler or target.compiler
    require(shlex.split(command)[0])
    flags = [optimise, *target.compile_flags, *processor_flags(), "-DTT_KEEP_FROZEN", "-fPIC"]
    driver = render(
        "codegen",
        "library.c.j2",
        name=model.name,
        NAME=model.name.upper(),
        has_frozen=model.frozen_bytes > 0,
        replay=model.replay,
        feed=model.feed_rows > 0,
    )
    base = hashlib.sha256("\0".join([command, *flags]).encode())
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".build-", dir=cache) as place:
        scratch = Path(place)
        (scratch / "library.c").write_text(driver, encoding="utf-8")
        sources = [*sorted((directory / "src").glob("*.c")), scratch / "library.c"]
        folders = [(directory / part).resolve() for part in ("include", "src")]
        includes = [f"-I{folder}" for folder in folders]
        objects = []
        # A file of the runtime does not reach the model's headers: it is compiled once for all.
        for source, reached in contents(sources, folders).items():
            if reached is None:
                raise ToolchainError(
                    "it includes a file that the folder does not have",
                    where=Where(str(source)),
                    help="let 'tinytrain compile MODEL -o DIR' write the folder anew",
                )
            digest = base.copy()
            digest.update(reached)
            found = cache / f"{digest.hexdigest()}.o"
            if not found.is_file():
                made = scratch / found.name
                _compile([*shlex.split(command), *flags, *includes, "-c"], [source], made)
                made.replace(found)
            objects.append(found)
        digest = hashlib.sha256("".join(file.name for file in objects).encode())
        library = cache / f"{model.name}-{digest.hexdigest()[:32]}.so"
        if not library.is_file():
            made = scratch / library.name
            _compile([*shlex.split(command), "-shared"], objects, made)
            made.replace(library)
    return library


def _compile(command: Sequence[str], files: Sequence[Path], output: Path) -> None:
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
        raise ToolchainError(
            f"'{command[0]}' cannot build '{output.name}' from '{files[0].name}'",
            detail="\n".join(done.stderr.splitlines()[-20:]),
        )
