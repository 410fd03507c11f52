"""From generated folders to one archive."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tinytrain.errors import UsageError
from tinytrain.option import check_options
from tinytrain.output_file import check_writable, write_file
from tinytrain.packages.merge import merged, read_folder
from tinytrain.packages.parameters import PACKAGE
from tinytrain.packages.ways import PackagingWay, way_named
from tinytrain.version import __version__


@dataclass(frozen=True)
class PackageFile:
    """An archive that was written, and what is in it.

    Attributes:
        path: of the archive.
        way: what it is for: one of the ways that `package` takes.
        models: their names.
        files: how many it holds.
        nbytes: of the archive.
        unpacked: bytes of its files.
    """

    path: Path
    way: str
    models: tuple[str, ...]
    files: int
    nbytes: int
    unpacked: int


def package(
    directories: str | Path | Iterable[str | Path], *, as_: str, output: str | Path
) -> PackageFile:
    """Writes an archive of one or several compiled models that an ecosystem takes.

    Args:
        directories: folders that `compile_model` wrote, each of another model. Their runtime is
            packaged once, with every kernel that any of them calls.
        as_: arduino, platformio, zephyr, esp-idf, cmsis-pack or cmake.
        output: the archive; or a folder that exists, which gets it under its usual name.

    Raises:
        UsageError: a folder is none, two hold one model or come from two releases of tinytrain, or
            the archive cannot be written.
        ModelError: a folder was changed after it was written.
    """
    given = [directories] if isinstance(directories, str | Path) else list(directories)
    check_options(PACKAGE, directories=given, as_=as_, output=output)
    if not given:
        raise UsageError("no folder is given", help="name a folder that 'tinytrain compile' wrote")
    way = way_named(as_)
    held, sources = merged([read_folder(directory) for directory in given])
    path = _place(Path(output), way, held.name)
    check_writable(path)
    files = way.files(held, sources)
    data = way.archive(files)
    write_file(path, data)
    names = tuple(model.name for model in held.models)
    unpacked = sum(map(len, files.values()))
    return PackageFile(path, way.name, names, len(files), len(data), unpacked)


def _place(output: Path, way: PackagingWay, name: str) -> Path:
    usual = way.usual.format(name=name, version=__version__)
    if output.is_dir():
        return output / usual
    if not output.name.endswith(way.suffix):
        raise UsageError(
            f"the archive of '{way.name}' ends in {way.suffix}, got '{output}'",
            help=f"name a file that does, or a folder for {usual}; a folder has to exist",
        )
    return output
