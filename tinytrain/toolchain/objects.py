"""Objects that are compiled once and lent to every build that wants the same.

The runtime's sources are the same in all generated folders, and a model is built to be measured and
built again to be run. Where the environment names a folder, `TINYTRAIN_OBJECTS`, what was compiled
stays there, by a hash of all that it was made from: the compiler, its flags, the source and the
headers that it reaches. Several processes may use the folder at once; it can be removed at any
time.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

from tinytrain.kernel.sources import includes

FOLDER = "TINYTRAIN_OBJECTS"
"""The environment variable."""

_SUFFIXES = (".d", ".ci", ".o")
"""What a compiler leaves of a source; the object comes last, as make looks at its time."""

_PLACE = b"@place@"
"""Stands for the folder of a build in what is cached."""


def contents(sources: Iterable[Path], folders: Sequence[Path]) -> dict[Path, bytes | None]:
    """For each source a hash of it and of what it includes, directly or not, whatever conditions
    say; None where a header lies elsewhere, so that what is in it is not known.

    Args:
        folders: where headers lie.
    """

    @cache
    def read(file: Path) -> tuple[bytes, list[str]]:
        data = file.read_bytes()
        return hashlib.sha256(data).digest(), includes(data.decode(errors="replace"))

    @cache
    def header(name: str, beside: Path) -> Path | None:
        places = (folder / name for folder in (beside, *folders))
        return next((place for place in places if place.is_file()), None)

    def reached(source: Path) -> bytes | None:
        # A header in `src` and the one in `include` that it leads to have one name.
        pending, found = [source], dict[Path, bytes]()
        while pending:
            file = Path(os.path.normpath(pending.pop()))
            if file in found:
                continue
            found[file], names = read(file)
            for name in names:
                place = header(name, file.parent)
                if place is None:
                    return None
                pending.append(place)
        held = sorted((file.name, digest) for file, digest in found.items())
        return hashlib.sha256(repr(held).encode()).digest()

    return {source: reached(source) for source in sources}


class Objects:
    """What builds lend to each other.

    Args:
        folder: is made if it is not there.
        compiler: what the compiler says of its version.
    """

    def __init__(self, folder: Path, compiler: bytes) -> None:
        self._folder, self._compiler = folder, compiler

    def keys(
        self, directory: Path, place: str, sources: Sequence[str], command: str
    ) -> Mapping[str, str]:
        """The cache key of the object of each source whose headers are all known.

        Args:
            directory: a generated folder.
            place: where its build writes, within it.
            sources: as make names them, within the folder.
            command: the compiler's, without the source.
        """
        # Of where headers lie no more than what is in them matters.
        flags = [flag for flag in shlex.split(command) if not flag.startswith("-I")]
        base = hashlib.sha256(self._compiler + "\0".join(flags).encode())
        folders = [directory / name for name in ("src", "include", f"{place}/port")]
        found = contents([directory / source for source in sources], folders)
        keys = {}
        for source in sources:
            content = found[directory / source]
            if content is not None:
                digest = base.copy()
                digest.update(_elsewhere(source.encode(), place) + content)
                keys[source] = digest.hexdigest()
        return keys

    def lend(self, directory: Path, place: str, keys: Mapping[str, str]) -> None:
        """Puts what is known where make would put it, for sources that were not compiled yet.

        Args:
            directory: a generated folder.
            place: where its build writes, within it.
            keys: of its sources.
        """
        for source, key in keys.items():
            made, cached = directory / place / source, self._folder / key
            if cached.with_suffix(".o").is_file() and not made.with_suffix(".o").exists():
                made.parent.mkdir(parents=True, exist_ok=True)
                _copy(cached, made, lambda text: text.replace(_PLACE, place.encode()))

    def keep(self, directory: Path, place: str, keys: Mapping[str, str]) -> None:
        """Caches what a build that succeeded has compiled of sources with these keys."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for source, key in keys.items():
            if not (self._folder / key).with_suffix(".o").is_file():
                made = directory / place / source
                _copy(made, self._folder / key, lambda text: _elsewhere(text, place))


def _elsewhere(text: bytes, place: str) -> bytes:
    """What a compiler wrote about files of a build, for a build in another place."""
    return text.replace(place.encode(), _PLACE)


def _copy(source: Path, target: Path, change: Callable[[bytes], bytes]) -> None:
    """Copies what there is of a source: each file appears whole, and younger than all before.

    Args:
        change: of what make and the stack analysis read, which names files by their place.
    """
    for suffix in _SUFFIXES:
        if source.with_suffix(suffix).is_file():
            data = source.with_suffix(suffix).read_bytes()
            if suffix != ".o":
                data = change(data)
            handle, place = tempfile.mkstemp(dir=target.parent)
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                os.replace(place, target.with_suffix(suffix))
            except BaseException:
                os.unlink(place)
                raise


def shared_objects(compiler: bytes) -> Objects | None:
    """The objects of the folder that the environment names; None where it names none."""
    folder = os.environ.get(FOLDER)
    return Objects(Path(folder), compiler) if folder else None
