"""Reading the manifest of a folder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tinytrain.errors import ModelError, UsageError, Where
from tinytrain.manifest.root import FORMAT, Manifest
from tinytrain.manifest.schema import SchemaError, from_json

NAME = "manifest.json"

COMPILE_ANEW = "let `tinytrain compile MODEL -o DIR --target NAME` write it anew"
"""The help where a folder is not what it should be."""

COMPILE_OVER = (
    "take the change back, or let `tinytrain compile MODEL -o DIR --target NAME --force` write the "
    "folder anew, without it"
)
"""The same where somebody changed a file, which `compile` keeps by itself."""


def read_manifest(directory: str | Path) -> Manifest:
    """The manifest of a folder that `tinytrain compile` wrote; its other files are not looked at.

    Raises:
        UsageError: there is no such folder, it holds no manifest, or what is given is no path.
        ModelError: the manifest cannot be read, has another format, lacks an entry, or has one
            that is unknown or wrong.
    """
    if not isinstance(directory, str | os.PathLike):
        raise UsageError(
            f"a folder is named by its path, got {directory!r}",
            help="give the folder that `tinytrain compile` wrote",
        )
    path = Path(directory)
    file = path / NAME
    if not path.is_dir():
        raise UsageError(f"there is no folder '{directory}'", help=COMPILE_ANEW)
    if not file.is_file():
        raise UsageError(f"folder '{directory}' holds no {NAME}", help=COMPILE_ANEW)
    where = Where(str(file))
    try:
        held = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the manifest cannot be read: {error}", where=where, help=COMPILE_ANEW
        ) from error
    if not isinstance(held, dict) or held.get("format") != FORMAT:
        found = held.get("format") if isinstance(held, dict) else None
        raise ModelError(
            f"the manifest has format {found}, but this version reads format {FORMAT}"
            f"{_written_by(held)}",
            where=where,
            help=COMPILE_ANEW,
        )
    try:
        return from_json(Manifest, held)
    except SchemaError as error:
        raise ModelError(
            f"the manifest {error}{_written_by(held)}", where=where, help=COMPILE_ANEW
        ) from error


def _written_by(held: Any) -> str:
    """Who may be at fault: another version, or whoever edited what this one wrote."""
    version = held.get("tinytrain") if isinstance(held, dict) else None
    by = f"tinytrain {version}" if isinstance(version, str) else "something else"
    return f"; it was written by {by}"
