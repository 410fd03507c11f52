"""Generated folders put together: their models, and every file of the runtime once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import UsageError, Where
from tinytrain.simulation.folder import open_folder
from tinytrain.toolchain.package_files import Package

_PACKED = ("src/", "include/", "examples/")
_LONGEST_NAME = 48


@dataclass(frozen=True)
class PackagedFolder:
    """What a generated folder gives to a package.

    Attributes:
        path: of the folder.
        name: of its model.
        files: contents by path.
    """

    path: Path
    name: str
    files: dict[str, bytes]


def read_folder(directory: str | Path) -> PackagedFolder:
    """Reads a folder, and checks that it is as it was written.

    Raises:
        UsageError: there is no such folder.
        ModelError: it was changed, or another version wrote it.
    """
    folder = open_folder(directory)
    packed = [path for path in folder.manifest.files if path.startswith(_PACKED)]
    files = {path: (folder.path / path).read_bytes() for path in packed}
    return PackagedFolder(folder.path, folder.manifest.name, files)


def merged(folders: Sequence[PackagedFolder]) -> tuple[Package, dict[str, bytes]]:
    """The package of folders, and the contents of its files by path.

    Raises:
        UsageError: two hold a model of one name, or come from two releases.
    """
    files: dict[str, bytes] = {}
    sources: dict[str, PackagedFolder] = {}
    models: dict[str, PackagedFolder] = {}
    for folder in folders:
        if folder.name in models:
            raise UsageError(
                f"'{models[folder.name].path}' and '{folder.path}' both hold a model called "
                f"'{folder.name}'",
                help="compile one of them with another --name",
            )
        models[folder.name] = folder
        for path, data in folder.files.items():
            first = sources.setdefault(path, folder)
            if files.setdefault(path, data) != data:
                raise UsageError(
                    f"'{first.path}' and '{folder.path}' were written by two releases of "
                    "tinytrain: they differ in a file of the runtime",
                    where=Where(path),
                    help="compile both with one release",
                )
    return Package.of(_name(list(models)), {name: one.files for name, one in models.items()}), files


def _name(models: Sequence[str]) -> str:
    joined = "_".join(models)
    if len(joined) <= _LONGEST_NAME:
        return joined
    return f"{models[0]}_and_{len(models) - 1}_more"
