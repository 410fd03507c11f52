"""The folder that `tinytrain compile` wrote: its manifest, and whether it is still what it was."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tinytrain.data import SampleSpec
from tinytrain.errors import DataError, ModelError, TinytrainError, Where
from tinytrain.link.lock import apart
from tinytrain.manifest import COMPILE_ANEW, COMPILE_OVER, Manifest, read_manifest
from tinytrain.manifest.file import NAME
from tinytrain.saved_file import file_bytes, read_saved


@dataclass(frozen=True, eq=False)
class GeneratedFolder:
    """A checked folder.

    Attributes:
        path: where it lies.
        manifest: what it says of itself.
        spec: the samples that the model takes.
    """

    path: Path
    manifest: Manifest
    spec: SampleSpec

    def saved_in(self, path: str | Path, *, signed: bool = False) -> bytes:
        """The bytes of a file that this model saved.

        Args:
            signed: whether it may be signed, as a board verifies it.

        Raises:
            DataError: it cannot be read, is damaged, or belongs to another model.
        """
        where, data = Where(str(path)), file_bytes(path, "the saved parameters")
        saved = apart(data)[0] if signed else data
        if read_saved(saved, where).model_hash.hex() != self.manifest.model_hash:
            raise DataError(
                "the saved parameters belong to another model: the file was not saved by the model "
                f"in '{self.path}'",
                where=where,
                help="load it with the folder that it came from: another scheme or another option "
                "is another model; `tinytrain migrate` takes what fits",
            )
        return data


def open_folder(directory: str | Path) -> GeneratedFolder:
    """Read and check a folder that `tinytrain compile` wrote.

    Raises:
        UsageError: there is no such folder, or it holds no manifest.
        ModelError: the manifest is not one of this version, or a file is missing or was changed
            after it was written.
    """
    manifest = read_manifest(directory)
    path = Path(directory)
    try:
        spec = manifest.sample_spec()
    except TinytrainError as error:
        raise ModelError(error.what, where=Where(str(path / NAME)), help=COMPILE_ANEW) from error
    _check_files(path, manifest.files)
    return GeneratedFolder(path, manifest, spec)


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
                help=COMPILE_OVER,
            )
    for folder in ("src", "include", "port"):
        for file in sorted((path / folder).glob("*.[ch]")):
            if file.relative_to(path).as_posix() not in files:
                raise ModelError(
                    "the folder holds a source file that the manifest does not list",
                    where=Where(str(file)),
                    help=COMPILE_ANEW,
                )
