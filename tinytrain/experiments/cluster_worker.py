"""What a worker of a cluster does with a job that comes to its machine."""

from __future__ import annotations

import os
import platform
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

from tinytrain.errors import UsageError, Where
from tinytrain.experiments.inputs import Input, unpack
from tinytrain.experiments.once import folder_once
from tinytrain.experiments.parcel import Parcel, Shipped, unpacked_work, versions
from tinytrain.experiments.pool import Outcome, Report, attempt

_BETWEEN = 0.5
"""Seconds between two notes of a job."""

Answer = Outcome | tuple[Literal["unfit"], str]
"""How a job ended; or that this machine can do none of them, and why."""

Parts = Callable[[tuple[Any, ...]], Iterable[bytes]]
"""Gives the parts of an input for their references."""


class Notes:
    """The last note of each job, kept until somebody asks."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[str, int, int]] = {}

    def tell(self, number: int, note: str, done: int, total: int) -> None:
        """Job `number` has got so far."""
        self._last[number] = (note, done, total)

    def take(self) -> dict[int, tuple[str, int, int]]:
        """What is new since the last call, by the job's number."""
        found, self._last = self._last, {}
        return found


def answer(parcel: Parcel, fetch: Parts, tell: Report) -> Answer:
    """Do a job, and say how it ended.

    Args:
        fetch: gives what was sent ahead, where this machine does not have it yet.
        tell: gets some of the job's notes.
    """
    here = versions([name for name in parcel.versions if name != "tinytrain"])
    for name, version in parcel.versions.items():
        if here[name] != version:
            has = f"has {name} {here[name]}" if here[name] else f"has no {name}"
            return "unfit", f"machine {platform.node()} {has}, and not {version} as this one"
    places: list[Path] = []

    def work(report: Report) -> dict[str, Any]:
        folder = machine_folder()
        places.extend(_place(shipped, folder / "inputs", fetch) for shipped in parcel.inputs)
        places.append(folder / "cache")
        places[-1].mkdir(exist_ok=True)
        return unpacked_work(parcel.work, places)(report)

    found = attempt(work, _seldom(tell))
    if found[0] == "done":
        return found
    return "failed", _as_asked(found[1], parcel, places)


def machine_folder() -> Path:
    """Where this machine keeps inputs and what jobs share, for the next time, too.

    Raises:
        UsageError: it belongs to somebody else.
    """
    folder = Path(tempfile.gettempdir(), f"tinytrain-machine-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise UsageError(
            "the folder belongs to somebody else",
            where=Where(str(folder)),
            help="start the cluster with TMPDIR naming a folder of your own",
        )
    return folder


def _place(shipped: Shipped, folder: Path, fetch: Parts) -> Path:
    """Where an input is on this machine, which gets it if it has not."""

    def fill(made: Path) -> None:
        unpack(fetch(shipped.parts), made)
        beside = tuple((name, made / name) for name in shipped.beside)
        if Input(made / shipped.name, beside).digest() != shipped.digest:
            raise UsageError(
                "the file changed while it was sent",
                where=Where(str(made / shipped.name)),
                help="run the command again",
            )

    return folder_once(folder / shipped.digest, fill) / shipped.name


def _as_asked(reason: str, parcel: Parcel, places: list[Path]) -> str:
    """A reason with the paths that the user knows, and the machine that it came from."""
    asked = [shipped.path for shipped in parcel.inputs]
    for place, path in zip(places, asked, strict=False):
        reason = reason.replace(str(place), str(path))
    return f"{reason}\n  on: machine {platform.node()}"


def _seldom(tell: Report) -> Report:
    last = -_BETWEEN

    def report(note: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _BETWEEN:
            last = time.monotonic()
            tell(note, done, total)

    return report
