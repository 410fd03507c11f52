"""The folder that `tinytrain compile` wrote: its manifest, and whether it is still what it was."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from tinytrain.data import SampleSpec
from tinytrain.errors import ModelError, TinytrainError, UsageError, Where

FORMAT = 1


@dataclass(frozen=True, eq=False)
class GeneratedFolder:
    """A checked folder.

    Attributes:
        path: where it lies.
        manifest: the parsed manifest.json.
        name: of the model, a C identifier.
        target: the name of the target that it was compiled for.
        spec: the samples that the model takes.
        ram_bytes, flash_bytes: the totals in the manifest.
        frozen_bytes: what the layers before the first one that trains leave for the others.
        replay_slots: of the replay buffer; 0 where there is none.
    """

    path: Path
    manifest: Mapping[str, Any]
    name: str
    target: str
    spec: SampleSpec
    ram_bytes: int
    flash_bytes: int
    frozen_bytes: int
    replay_slots: int = 0


def read_manifest(directory: str | Path) -> dict[str, Any]:
    """The manifest of a folder that `tinytrain compile` wrote; its files are not looked at.

    Raises:
        UsageError: there is no such folder, or it holds no manifest.
        ModelError: the manifest cannot be read or has another format.
    """
    path = Path(directory)
    file = path / "manifest.json"
    if not path.is_dir():
        raise UsageError(f"there is no folder '{directory}'", help=COMPILE_ANEW)
    if not file.is_file():
        raise UsageError(f"folder '{directory}' holds no manifest.json", help=COMPILE_ANEW)
    where = Where(str(file))
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"the manifest cannot be read: {error}", where=where, help=COMPILE_ANEW
        ) from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise ModelError(
            f"the manifest has format {found}, but this version reads format {FORMAT}",
            where=where,
            help=COMPILE_ANEW,
        )
    return manifest


def open_folder(directory: str | Path) -> GeneratedFolder:
    """Read and check a folder that `tinytrain compile` wrote.

    Raises:
        UsageError: there is no such folder, or it holds no manifest.
        ModelError: the manifest is not one of this version, or a file is missing or was changed
            after it was written.
    """
    path, manifest = Path(directory), read_manifest(directory)
    where = Where(str(path / "manifest.json"))
    try:
        name, target = str(manifest["name"]), str(manifest["target"])
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise ValueError(f"name '{name}' is no C identifier")
        spec = SampleSpec.from_manifest(manifest)
        ram, flash = int(manifest["ram"]["total"]), int(manifest["flash"]["total"])
        frozen = int(manifest["frozen_bytes"])
        replay = manifest.get("replay")
        slots = 0 if replay is None else int(replay["slots"])
        files = {str(name): str(digest) for name, digest in manifest["files"].items()}
    except TinytrainError as error:
        raise ModelError(error.what, where=where, help=COMPILE_ANEW) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelError(
            f"the manifest lacks an entry or has a wrong one: {error}",
            where=where,
            help=COMPILE_ANEW,
        ) from error
    _check_files(path, files)
    return GeneratedFolder(path, manifest, name, target, spec, ram, flash, frozen, slots)


COMPILE_ANEW = "let 'tinytrain compile MODEL -o DIR --target NAME' write it anew"
"""The help where a folder is not what it should be."""


def _check_files(path: Path, files: Mapping[str, str]) -> None:
    """Every file is there with its hash, and no C source has joined them."""
    for name, digest in files.items():
        relative = PurePosixPath(name)
        where = Where(str(path / relative))
        if relative.is_absolute() or ".." in relative.parts:
            raise ModelError("the manifest lists a file outside its folder", where=where)
        try:
            found = hashlib.sha256((path / relative).read_bytes()).hexdigest()
        except OSError as error:
            raise ModelError(
                "a file that the manifest lists is missing", where=where, help=COMPILE_ANEW
            ) from error
        if found != digest:
            raise ModelError(
                "the file was changed after it was compiled: its hash is not the manifest's",
                where=where,
                help=COMPILE_ANEW,
            )
    for folder in ("src", "include", "port"):
        for file in sorted((path / folder).glob("*.[ch]")):
            if file.relative_to(path).as_posix() not in files:
                raise ModelError(
                    "the folder holds a source file that the manifest does not list",
                    where=Where(str(file)),
                    help=COMPILE_ANEW,
                )
