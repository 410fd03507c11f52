"""The samples of a search: what is learned from, what judges, and what only reports.

The judges are split off the data by class, as those of a race of learning rates are: the last part
of each class, and for each further order of the samples the part before. Nothing that a candidate
learns from judges it, and nothing of `--eval` does either.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinytrain.compiler.race_samples import JUDGES, split_by_class
from tinytrain.data import Dataset, SampleSpec, load_dataset
from tinytrain.data.given import batches
from tinytrain.errors import DataError, Where
from tinytrain.reference.warm_up import evenly_spread
from tinytrain.searches.figure import Figure, figure_of

HEATS = JUDGES - 1
"""Orders of the samples that have judges of their own."""

MOST, MOST_EVAL = 20_000, 10_000
"""Samples that are taken of more, of each class in proportion."""


@dataclass(frozen=True, eq=False)
class SearchSamples:
    """What candidates learn from and are compared by, and what the outcome is reported on.

    Attributes:
        data: of which a part judges.
        eval: None where there is nothing to report on.
    """

    data: Dataset
    eval: Dataset | None

    def split(self, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Indices to learn from and to judge by, for one order of the samples.

        Each order has judges of its own, so that a choice goes by more of the samples.
        """
        return split_by_class(strata(self.data), seed % HEATS)

    @cached_property
    def figure(self) -> Figure:
        """What candidates are compared by."""
        return figure_of(self.data)

    @property
    def counts(self) -> tuple[int, int]:
        """How many are learned from, and how many judge, in each training."""
        learn, judge = self.split(0)
        return len(learn), len(judge)


def strata(data: Dataset) -> np.ndarray:
    """Of each sample its class, int [N]; all are of one where targets are no labels."""
    return data.targets(slice(None)) if data.spec.classes else np.zeros(len(data), np.int32)


def search_samples(data: Dataset, eval: Dataset | None) -> SearchSamples:
    """Thins out what is more than a search uses."""
    return SearchSamples(_part(data, MOST), None if eval is None else _part(eval, MOST_EVAL))


def labelled_samples(source: Any, spec: SampleSpec, flag: str) -> Dataset:
    """Labelled samples, checked against the model.

    Args:
        source: path of an .npz with x and y, a pair (x, y), or a DataLoader or another iterable
            of such pairs.
        flag: what a message calls them.

    Raises:
        DataError: they have no labels, or do not fit.
    """
    if isinstance(source, str):
        return load_dataset(source, spec)
    parts = list(batches(source, None, spec))
    if not parts:
        raise DataError("there are no samples", where=Where(flag))
    if len(parts) == 1:
        return parts[0]
    x = np.concatenate([part.x for part in parts])
    return Dataset(spec, x, np.concatenate([part.targets(slice(None)) for part in parts]), flag)


def check_classes(data: Dataset, where: Where) -> None:
    """Refuses data from which nobody could learn all classes and be judged.

    Raises:
        DataError: a class has no samples, or too few to split; where there are no classes, the data
            has.
    """
    classes = data.spec.classes
    if not classes:
        if len(data) < JUDGES:
            raise DataError(
                f"the data has {len(data)} samples, and a search needs {JUDGES}: one part in four "
                "judges what the others taught",
                where=where,
                help="give more samples, or take a preset",
            )
        return
    counts = np.bincount(data.targets(slice(None)), minlength=classes)
    missing = np.flatnonzero(counts == 0)
    if missing.size:
        present = classes - missing.size
        advice = "samples of every class"
        if counts[:present].all() and present > 1:
            advice += f", or a fresh head for those that there are: --classes {present}"
        raise DataError(
            f"the data has samples of {present} classes, and the head has {classes}: there is "
            f"none of class {missing[0]}",
            where=where,
            help=f"give {advice}",
        )
    few = int(counts.argmin())
    if counts[few] < JUDGES:
        raise DataError(
            f"class {few} has {counts[few]} samples, and a search needs {JUDGES} of each class: "
            "one part in four judges what the others taught",
            where=where,
            help="give more samples, or take a preset",
        )


def check_unseen(data: Dataset, eval: Dataset) -> str | None:
    """A note where some samples to report on are among those to learn from; None where none is.

    Raises:
        DataError: all of them are.
    """
    shown = _contents(eval)
    total, count = len(shown), len(shown & _contents(data))
    if count == total:
        raise DataError(
            "every sample of --eval is in --data too, so that it would report on what was learned",
            help="give samples of their own, or leave out --eval: a part of --data judges anyway",
        )
    if count:
        return (
            f"{count:,} of {total:,} samples of --eval are in --data too: what is reported is not "
            "all of samples that were never seen"
        )
    return None


def _contents(data: Dataset) -> set[bytes]:
    """Digests of the inputs, each once."""
    x = data.x
    return {hashlib.sha256(f"{x.dtype}".encode() + one.tobytes()).digest() for one in x}


def thinned(labels: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most so many samples, ascending: of each class in proportion, and evenly
    spread within it, whatever the order of the classes; of rare ones what a split needs."""
    if len(labels) <= most:
        return np.arange(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    least = np.minimum(counts, JUDGES if JUDGES * len(classes) <= most else 0)
    left = most - int(least.sum())
    shares = (counts - least) * (left / int((counts - least).sum()))
    taken = least + np.floor(shares).astype(np.int64)
    rest = np.argsort(np.floor(shares) - shares, kind="stable")
    taken[rest[: most - int(taken.sum())]] += 1
    parts = [
        np.flatnonzero(labels == label)[evenly_spread(count, take)]
        for label, count, take in zip(classes, counts.tolist(), taken.tolist(), strict=True)
        if take
    ]
    return np.sort(np.concatenate(parts))


def _part(data: Dataset, most: int) -> Dataset:
    chosen = thinned(strata(data), most)
    return Dataset(data.spec, data.x[chosen], data.targets(chosen), data.name)
