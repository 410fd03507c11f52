"""A training step as a library of this machine, without a folder around it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from tinytrain.emit.model_files import ModelFiles
from tinytrain.kernel.sources import runtime_files
from tinytrain.simulation.library import HostLibrary
from tinytrain.simulation.library_build import build_library
from tinytrain.toolchain.objects import FOLDER as SHARED_OBJECTS


def host_library(
    files: ModelFiles,
    cache: Path | None = None,
    *,
    optimise: str = "-O3",
    kind: type[HostLibrary] = HostLibrary,
) -> HostLibrary:
    """Builds and loads a library.

    Args:
        files: from `emission.emit_step`.
        cache: folder for libraries, which others may use at the same time; None keeps nothing, but
            where the environment names a folder for objects.
        optimise: see `build_library`.
        kind: of the library.

    Raises:
        ToolchainError: there is no C compiler for this machine, or it refuses the sources.
    """
    sources = {f"src/{file}": text for file, text in files.files.items()}
    sources |= runtime_files(files.functions)
    shared = os.environ.get(SHARED_OBJECTS)
    with tempfile.TemporaryDirectory(prefix="tinytrain-") as place:
        folder = Path(place)
        for file, text in sources.items():
            path = folder / file
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8", errors="backslashreplace")
        own = Path(shared, "libraries") if shared else folder / "library"
        built = build_library(folder, files.interface, cache or own, optimise=optimise)
        return kind(built, files.interface)
