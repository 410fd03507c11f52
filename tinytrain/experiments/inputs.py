"""Files and folders by their content, so that a machine that lacks them can be given them."""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

_PART = 1 << 26
"""Bytes of a part that is sent at a time."""


@dataclass(frozen=True)
class Input:
    """A file or a folder that a job reads.

    Attributes:
        path: as the job's work names it.
        beside: files that it refers to, each with the name that it has from the folder of `path`.
    """

    path: Path
    beside: tuple[tuple[str, Path], ...] = ()

    @property
    def name(self) -> str:
        """Of the file or folder itself."""
        return self._place.name or "root"

    def files(self) -> dict[str, Path]:
        """Every file by its name, which begins with that of the file or folder; sorted."""
        place = self._place
        if place.is_dir():
            inside = (file for file in place.rglob("*") if file.is_file())
            found = {f"{self.name}/{file.relative_to(place).as_posix()}": file for file in inside}
        else:
            found = {self.name: place, **dict(self.beside)}
        return dict(sorted(found.items()))

    def digest(self) -> str:
        """SHA-256 of all names and contents, 64 hex digits."""
        digest = hashlib.sha256()
        for name, file in self.files().items():
            with file.open("rb") as content:
                held = hashlib.file_digest(content, "sha256").digest()
            digest.update(name.encode(errors="surrogateescape") + b"\0" + held)
        return digest.hexdigest()

    def pack(self, take: Callable[[bytes], None]) -> None:
        """Hand over everything, a part at a time, for `unpack`."""
        parts = _Sink(take)
        with tarfile.open(fileobj=cast(IO[bytes], parts), mode="w|") as archive:
            for name, file in self.files().items():
                with file.open("rb") as content:
                    member = tarfile.TarInfo(name)
                    member.size = os.fstat(content.fileno()).st_size
                    archive.addfile(member, content)
        parts.flush()

    @property
    def _place(self) -> Path:
        return Path(os.path.abspath(self.path))


def unpack(parts: Iterable[bytes], folder: Path) -> None:
    """Write what `Input.pack` handed over below a folder."""
    source = cast(IO[bytes], _Source(iter(parts)))
    with tarfile.open(fileobj=source, mode="r|") as archive:
        for member in archive:
            content = archive.extractfile(member)
            assert content is not None, member.name
            file = folder / member.name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as written:
                shutil.copyfileobj(content, written)


class _Sink:
    """A file to write to that hands over parts."""

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take
        self._held = bytearray()

    def write(self, data: bytes) -> int:
        """Of a file."""
        self._held += data
        if len(self._held) >= _PART:
            self.flush()
        return len(data)

    def flush(self) -> None:
        """Hand over what is there."""
        if self._held:
            self._take(bytes(self._held))
            self._held.clear()


class _Source:
    """A file to read from that is made of parts."""

    def __init__(self, parts: Iterator[bytes]) -> None:
        self._parts = parts
        self._held = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Of a file."""
        found = bytearray()
        while len(found) < size:
            self._held = self._held or memoryview(next(self._parts, b""))
            if not self._held:
                break
            taken = self._held[: size - len(found)]
            self._held = self._held[len(taken) :]
            found += taken
        return bytes(found)
