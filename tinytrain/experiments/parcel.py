"""A job as it travels to another machine, where its files have other places."""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from tinytrain.experiments.identity import code_digest, installed
from tinytrain.experiments.pool import Job, Work
from tinytrain.version import __version__


@dataclass(frozen=True)
class Shipped:
    """An input that was sent ahead.

    Attributes:
        path: that it has where it came from.
        name: of the file or folder.
        digest: of its content, `Input.digest`.
        beside: names of files beside it that belong to it.
        parts: references of what `Input.pack` handed over.
    """

    path: Path
    name: str
    digest: str
    beside: tuple[str, ...]
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Parcel:
    """A job's work with all that it needs.

    Attributes:
        work: pickled by `packed_work`.
        inputs: in the order of the job's needs.
        cache: that the work names.
        versions: of what decides its result, by name, tinytrain first.
    """

    work: bytes
    inputs: Sequence[Shipped]
    cache: Path | None
    versions: Mapping[str, str | None]


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Of Python packages on this machine, and of tinytrain, whose sources count."""
    own = f"{__version__} ({code_digest()[:12]})"
    return {"tinytrain": own, **{name: installed(name) for name in packages}}


def packed_work(job: Job) -> bytes:
    """A job's work, in which numbers stand for the paths of its inputs and of its cache."""
    named = [given.path for given in job.needs.inputs]
    named += [job.needs.cache] if job.needs.cache else []
    numbers = {path: number for number, path in enumerate(named)}
    held = io.BytesIO()
    _Pickler(held, numbers).dump(job.work)
    return held.getvalue()


def unpacked_work(data: bytes, places: Sequence[Path]) -> Work:
    """The work with the places of its inputs, and behind them its cache, on this machine."""
    work: Work = _Unpickler(io.BytesIO(data), places).load()
    return work


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, numbers: Mapping[Path, int]) -> None:
        super().__init__(file)
        self._numbers = numbers

    def persistent_id(self, thing: Any) -> int | None:
        """The number of a path that stands for another on another machine."""
        return self._numbers.get(Path(thing)) if isinstance(thing, PurePath) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, places: Sequence[Path]) -> None:
        super().__init__(file)
        self._places = places

    def persistent_load(self, number: Any) -> Path:
        """The path for a number."""
        place: Path = self._places[number]
        return place
