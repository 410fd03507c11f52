"""Smartwatch data of ten healthy people at physiotherapy exercises, from the PyPI package seglearn.

140 series, 10 people x 7 shoulder exercises x left and right side, of about 20 repetitions each:
acceleration and rotation rate on the wrist at 50 Hz. Source: D. M. Burns and others, "Shoulder
Physiotherapy Exercise Recognition: Machine Learning the Inertial Signals from a Smartwatch",
arXiv:1802.01489.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

EXERCISES = ("PEN", "ABD", "FEL", "IR", "ER", "TRAP", "ROW")
"""Pendulum, abduction, forward elevation, internal and external rotation, trapezius, row."""

PEOPLE = tuple(range(1, 11))
CHANNELS = 6
RATE_HZ = 50
WINDOW = 128
"""Samples of a window: 2.56 s, about one repetition."""

UNITS = (1.0, 1.0, 1.0, 3.0, 3.0, 3.0)
"""The model sees g (acceleration) and 3 rad/s (rotation), so that one input scale suits both."""

FILE_SHA256 = "eb122f23cdf06ef6bd6c6c5312958ec5cf9d038e2e6d457b8081662c75a42537"


@dataclass(frozen=True, eq=False)
class Recordings:
    """`series`: float32 [T, 6] in model units, one for each set of an exercise that was recorded.

    `exercise` and `person` give for each series an index into EXERCISES and an entry of PEOPLE.
    """

    series: tuple[np.ndarray, ...]
    exercise: np.ndarray
    person: np.ndarray


@dataclass(frozen=True, eq=False)
class Windows:
    """`x`: float32 [N, 6, 128]; `y`: int32 exercise [N]; from `series[i]`, sample `start[i]` on."""

    x: np.ndarray
    y: np.ndarray
    series: np.ndarray
    start: np.ndarray


def data_file() -> Path:
    """The data file of the installed package, found without importing it.

    Importing seglearn pulls in scikit-learn, and breaks with releases newer than itself.

    Raises:
        FileNotFoundError: seglearn is not installed or has no such file.
    """
    spec = importlib.util.find_spec("seglearn")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package seglearn is missing: pip install seglearn==1.2.5")
    path = Path(spec.origin).parent / "data" / "watch_dataset.npy"
    if not path.is_file():
        raise FileNotFoundError("this seglearn has no watch data: pip install seglearn==1.2.5")
    return path


@cache
def load() -> Recordings:
    """All recordings.

    Raises:
        FileNotFoundError: as for `data_file`.
        ValueError: the file is not the one of seglearn 1.2.5.
    """
    path = data_file()
    if hashlib.sha256(path.read_bytes()).hexdigest() != FILE_SHA256:
        raise ValueError("seglearn's watch data is not that of release 1.2.5; it is not read")
    # The file is a pickled dictionary, which may run code when it is read. That is allowed for this
    # one file, whose hash was just compared with the release that we looked at.
    raw = np.load(path, allow_pickle=True).item()
    units = np.asarray(UNITS, dtype=np.float32)
    return Recordings(
        series=tuple(np.asarray(one, dtype=np.float32) / units for one in raw["X"]),
        exercise=np.asarray(raw["y"], dtype=np.int32),
        person=np.asarray(raw["subject"], dtype=np.int32),
    )


def windows(
    recordings: Recordings,
    people: Sequence[int],
    *,
    hop: int,
    part: tuple[float, float] = (0.0, 1.0),
) -> Windows:
    """Windows of some people.

    Args:
        hop: samples from one window to the next of the same series.
        part: start and end as fractions of each series; a window lies wholly inside, so the windows
            of (0, 0.5) and of (0.5, 1) have no sample in common.
    """
    x, y, series, starts = [], [], [], []
    for index in np.flatnonzero(np.isin(recordings.person, people)):
        signal = recordings.series[index]
        first, end = (int(len(signal) * fraction) for fraction in part)
        for start in range(first, end - WINDOW + 1, hop):
            x.append(signal[start : start + WINDOW].T)
            y.append(recordings.exercise[index])
            series.append(index)
            starts.append(start)
    return Windows(
        x=np.ascontiguousarray(np.stack(x), dtype=np.float32),
        y=np.array(y, dtype=np.int32),
        series=np.array(series),
        start=np.array(starts),
    )


def others(person: int) -> Windows:
    """Windows of everybody but one person: what the network is trained on before it ships."""
    return windows(load(), [p for p in PEOPLE if p != person], hop=32)


def first_half(person: int) -> Windows:
    """The first half of each series of one person: what the device learns from."""
    return windows(load(), [person], hop=32, part=(0.0, 0.5))


def second_half(person: int) -> Windows:
    """The second half of each series of one person: what the device is judged by."""
    return windows(load(), [person], hop=64, part=(0.5, 1.0))
