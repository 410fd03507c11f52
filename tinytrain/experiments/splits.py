"""Samples of an experiment's data: what has them, some of them, and two of them joined."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from tinytrain.errors import DataError, Where


class Split(Protocol):
    """Samples to learn from, or to be tested by."""

    @property
    def where(self) -> Where:
        """Of errors."""
        ...

    @property
    def labels(self) -> np.ndarray:
        """Integers [N], from 0."""
        ...

    def samples(self, index: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Chosen samples, uint8 images [n, h, w, c] or [n, h, w], or floats as a model takes them.

        Args:
            size: height and width that files of many sizes are resized to.
        """
        ...


class SomeSamples:
    """A `Split` of which some samples are taken.

    Args:
        index: of the samples, int64 [n].
    """

    def __init__(self, split: Split, index: np.ndarray) -> None:
        self._index = index
        self._split = split
        self.where = split.where
        self.labels = split.labels[index]

    def samples(self, index: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """See `Split`."""
        return self._split.samples(self._index[index], size)


def spread(split: Split, limit: int | None) -> SomeSamples:
    """At most so many samples, evenly spread; None takes all."""
    return SomeSamples(split, evenly(len(split.labels), limit))


def of_each_class(split: Split, limit: int) -> SomeSamples:
    """At most so many samples of each class, evenly spread over those that it has."""
    found = (np.flatnonzero(split.labels == label) for label in np.unique(split.labels))
    return SomeSamples(split, np.sort(np.concatenate([of[evenly(len(of), limit)] for of in found])))


def evenly(count: int, limit: int | None) -> np.ndarray:
    """Places of at most so many of `count` samples, evenly spread; None takes all."""
    return np.linspace(0, count - 1, min(count, limit or count)).astype(np.int64)


class Joined:
    """A `Split` of two, one after the other."""

    def __init__(self, first: Split, second: Split) -> None:
        self._parts = first, second
        self.where = first.where
        self.labels = np.concatenate([first.labels, second.labels])

    def samples(self, index: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """See `Split`."""
        first, second = self._parts
        count = len(first.labels)
        found = [
            part.samples(chosen, size)
            for part, chosen in (
                (first, index[index < count]),
                (second, index[index >= count] - count),
            )
            if chosen.size
        ]
        if len({(one.dtype == np.uint8, one.shape[1:]) for one in found}) > 1:
            raise DataError(
                f"its samples are {found[1].dtype} {list(found[1].shape[1:])}, those to test with "
                f"{found[0].dtype} {list(found[0].shape[1:])}",
                where=second.where,
            )
        order = np.argsort(np.argsort(index >= count, kind="stable"), kind="stable")
        joined: np.ndarray = np.concatenate(found)[order]
        return joined
