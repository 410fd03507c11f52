"""Where readings go beside the terminal: a table of commas, a page, the datagrams of Teleplot."""

from __future__ import annotations

import csv
import socket
import time
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol

from tinytrain.link.board import Hello
from tinytrain.link.readings import Reading
from tinytrain.output_file import check_writable, write_file

TELEPLOT = "teleplot"
"""Instead of a page: datagrams to Teleplot on this machine."""

_TELEPLOT_PORT = 47269
_SHOWN = 600
"""Readings that a page shows."""

COLUMNS = tuple(field.name for field in fields(Reading))


class Sink(Protocol):
    """Something that takes readings."""

    def take(self, reading: Reading) -> None:
        """One more."""
        ...


class CsvFile:
    """A file of comma-separated values, a line for each reading, written as they come.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        check_writable(path)
        self._file = path.open("w", encoding="utf-8", newline="")
        self._rows = csv.writer(self._file, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def take(self, reading: Reading) -> None:
        found = asdict(reading).values()
        self._rows.writerow("" if value is None else value for value in found)
        self._file.flush()

    def close(self) -> None:
        self._file.close()


class Teleplot:
    """Datagrams `name:milliseconds:value|g` to port 47269 of this machine, as Teleplot takes them;
    nobody needs to listen."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def take(self, reading: Reading) -> None:
        stamp = round(1e3 * time.time())
        lines = (
            f"{self._name}.{name}:{stamp}:{value}|g"
            for name, value in asdict(reading).items()
            if value is not None and name != "seconds"
        )
        self._socket.sendto("\n".join(lines).encode(), ("127.0.0.1", _TELEPLOT_PORT))

    def close(self) -> None:
        self._socket.close()


class Page:
    """A page that is written anew with each reading, and which a browser loads anew by itself.

    Raises:
        UsageError: the file cannot be written.
    """

    def __init__(self, path: Path, hello: Hello, interval: float) -> None:
        check_writable(path)
        self._path, self._hello, self._interval = path, hello, interval
        self._readings: list[Reading] = []

    def take(self, reading: Reading) -> None:
        self._readings = [*self._readings, reading][-_SHOWN:]
        write_file(self._path, page_of(self._readings, self._hello, self._interval).encode())


def page_of(found: Sequence[Reading], hello: Hello, interval: float) -> str:
    """The page of some readings, of at least one."""
    from tinytrain.toolchain.template import render

    return render(
        "codegen",
        "monitor.html.j2",
        hello=hello,
        last=found[-1],
        seconds=max(1, round(interval)),
        curves=[
            curve for name, title in _CURVES if (curve := _curve(found, name, title)) is not None
        ],
    )


_CURVES = (
    ("loss", "loss"),
    ("accuracy", "accuracy"),
    ("ms_per_step", "ms per step"),
    ("learning_rate", "learning rate"),
)
_WIDTH, _HEIGHT = 640, 140


def _curve(found: Sequence[Reading], name: str, title: str) -> dict[str, Any] | None:
    """The points of a figure over time; None without two of them."""
    pairs = [(one.seconds, getattr(one, name)) for one in found]
    points = [(x, float(y)) for x, y in pairs if y is not None]
    if len(points) < 2:
        return None
    times, values = zip(*points, strict=True)
    low, high = min(values), max(values)
    if name == "accuracy":
        low, high = 0.0, 1.0
    wide, tall = (times[-1] - times[0]) or 1.0, (high - low) or 1.0
    places = (
        f"{_WIDTH * (x - times[0]) / wide:.1f},{_HEIGHT * (high - y) / tall:.1f}" for x, y in points
    )
    return {
        "title": title,
        "points": " ".join(places),
        "low": f"{low:.4g}",
        "high": f"{high:.4g}",
        "last": f"{values[-1]:.4g}",
        "width": _WIDTH,
        "height": _HEIGHT,
    }
