"""Objects of the runtime that are compiled once and lent to every build that wants the same.

The runtime's sources are the same in all generated folders. Where the environment names a folder,
`TINYTRAIN_OBJECTS`, what was compiled of them stays there, by a hash of all that it was made from:
the compiler, its whole command, the source and every header that it may see. Several processes may
use the folder at once; it can be removed at any time.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from pathlib import Path

FOLDER = "TINYTRAIN_OBJECTS"
"""The environment variable."""

_SUFFIXES = (".d", ".ci", ".o")
"""What a compiler leaves of a source; the object comes last, as make looks at its time."""


class Objects:
    """What builds lend to each other.

    Args:
        folder: is made if it is not there.
        compiler: what the compiler says of its version.
    """

    def __init__(self, folder: Path, compiler: bytes) -> None:
        self._folder, self._compiler = folder, compiler

    def lend(self, directory: Path, output: Path, command: str) -> None:
        """Puts what is known where make would put it, for sources that were not compiled yet.

        Args:
            directory: a generated folder.
            output: where its build writes.
            command: the compiler's, without the source.
        """
        for source, key in self._keys(directory, command).items():
            made = output / source
            kept = self._folder / key
            if kept.with_suffix(".o").is_file() and not made.with_suffix(".o").exists():
                made.parent.mkdir(parents=True, exist_ok=True)
                _copy(kept, made)

    def keep(self, directory: Path, output: Path, command: str) -> None:
        """Remembers what a build that succeeded has compiled; arguments as for `lend`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for source, key in self._keys(directory, command).items():
            kept = self._folder / key
            if not kept.with_suffix(".o").is_file():
                _copy(output / source, kept)

    def _keys(self, directory: Path, command: str) -> dict[Path, str]:
        """For each source of the runtime the name that its object has."""
        base = hashlib.sha256(self._compiler + command.encode())
        # A file of the runtime sees headers of the runtime alone.
        for header in sorted([*directory.glob("include/tt_*.h"), *directory.glob("src/tt_*.h")]):
            base.update(header.name.encode() + header.read_bytes())
        base.update((directory / "include" / "tinytrain.h").read_bytes())
        keys = {}
        for source in sorted(directory.glob("src/tt_*.c")):
            digest = base.copy()
            digest.update(source.name.encode() + source.read_bytes())
            keys[source.relative_to(directory)] = digest.hexdigest()
        return keys


def _copy(source: Path, target: Path) -> None:
    """Copies what there is of a source: each file appears whole, and younger than all before."""
    for suffix in _SUFFIXES:
        if source.with_suffix(suffix).is_file():
            handle, place = tempfile.mkstemp(dir=target.parent)
            os.close(handle)
            try:
                shutil.copyfile(source.with_suffix(suffix), place)
                os.replace(place, target.with_suffix(suffix))
            except BaseException:
                os.unlink(place)
                raise


def shared_objects(compiler: bytes) -> Objects | None:
    """The objects of the folder that the environment names; None where it names none."""
    folder = os.environ.get(FOLDER)
    return Objects(Path(folder), compiler) if folder else None
