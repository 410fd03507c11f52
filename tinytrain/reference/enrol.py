"""Classes from a few samples, without training: docs/arithmetic.md, "Enrolled classes"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import UsageError
from tinytrain.reference.fixed_point import requantize
from tinytrain.reference.replay import MAX_SLOTS, ReplayBuffer

MAX_NEIGHBOURS = 15
MAX_CODES = 2**16 - 1
"""A squared distance of so many codes is below 2**32 - 1."""

NOTHING_ELSE = 2**32 - 1
"""`other` where only one class is known."""

_WINDOW = 256
_MAX_COUNT = 2**16 - 1


@dataclass(frozen=True)
class EnrolMethod:
    """How classes are told apart.

    Attributes:
        slots: samples that are kept; 0 keeps the mean of each class instead.
        neighbours: nearest samples that vote, 1 to `MAX_NEIGHBOURS`.
    """

    slots: int = 0
    neighbours: int = 1

    @property
    def name(self) -> str:
        """ncm (nearest class mean) or knn (k nearest neighbours)."""
        return "knn" if self.slots else "ncm"


def parse_method(text: str) -> EnrolMethod:
    """A method from "ncm", "knn:SLOTS" or "knn:SLOTS:K".

    Raises:
        UsageError: it is none of them, or a number is out of its range.
    """
    kind, *numbers = text.split(":")
    if kind == "ncm" and not numbers:
        return EnrolMethod()
    if kind != "knn" or not 1 <= len(numbers) <= 2 or not all(n.isdecimal() for n in numbers):
        raise UsageError(
            f"--enrol {text} is no way to tell classes apart",
            help="use ncm (the nearest class mean), knn:SLOTS (the nearest of SLOTS samples that "
            "are kept) or knn:SLOTS:K (the K nearest vote)",
        )
    slots, neighbours = int(numbers[0]), int(numbers[1]) if len(numbers) > 1 else 1
    if not 1 <= slots <= MAX_SLOTS:
        raise UsageError(f"--enrol {text}: SLOTS must be from 1 to {MAX_SLOTS:,}")
    if not 1 <= neighbours <= min(MAX_NEIGHBOURS, slots):
        raise UsageError(f"--enrol {text}: K must be from 1 to {MAX_NEIGHBOURS}, and at most SLOTS")
    return EnrolMethod(slots, neighbours)


@dataclass(frozen=True, eq=False)
class CodeMap:
    """From what the head reads to a code.

    Attributes:
        matrix: int8 [codes, features].
        bias: int32 [codes], within +-2**30.
        multiplier, shift: int32 and int8 [codes], of the requantization.
    """

    matrix: np.ndarray
    bias: np.ndarray
    multiplier: np.ndarray
    shift: np.ndarray

    def codes(self, features: np.ndarray) -> np.ndarray:
        """int8 [N, codes] from int8 [N, features]."""
        sums = features.astype(np.int64) @ self.matrix.T.astype(np.int64) + self.bias
        found = requantize(sums, self.multiplier, self.shift)
        result: np.ndarray = np.clip(found, -128, 127).astype(np.int8)
        return result


@dataclass(frozen=True, eq=False)
class Enrolment:
    """All that is known of enrolment when a model is compiled.

    Attributes:
        method: how classes are told apart.
        classes: labels that can be enrolled are below it, 1 to 65,535.
        features: bytes of what the head reads.
        map: None where this is the code of a sample.
        prototypes: int8 [P, codes], the mean code of each class in the labelled calibration
            samples.
        labels: uint16 [P], their classes, ascending.
        near: squared distance to the prototype of its own class that 95 of 100 of these samples
            do not exceed; None without labels.
    """

    method: EnrolMethod
    classes: int
    features: int
    map: CodeMap | None
    prototypes: np.ndarray
    labels: np.ndarray
    near: int | None

    @property
    def code_size(self) -> int:
        """Elements of a code."""
        return self.features if self.map is None else len(self.map.matrix)

    def codes(self, features: np.ndarray) -> np.ndarray:
        """The codes of samples, int8 [N, code_size] from int8 [N, features]."""
        return features if self.map is None else self.map.codes(features)

    def identity(self) -> bytes:
        """What decides the meaning of what a saved file holds of it."""
        arrays = [self.prototypes, self.labels]
        if self.map is not None:
            arrays += [self.map.matrix, self.map.bias, self.map.multiplier, self.map.shift]
        head = f"enrol:{self.method}:{self.classes}:{self.features}".encode()
        return head + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)


@dataclass(frozen=True)
class Found:
    """What a sample was taken for; distances are squared and in units of a code.

    Attributes:
        label: the class.
        distance: to the nearest of what is known of this class.
        other: to the nearest of all other classes; `NOTHING_ELSE` without one.
    """

    label: int
    distance: int
    other: int


class EnrolledClasses:
    """What a device holds of the samples that were enrolled, to the bit as its saved file.

    Args:
        seed: of the model, 32 bits: it decides which examples are kept.
    """

    def __init__(self, enrolment: Enrolment, seed: int) -> None:
        self._enrolment = enrolment
        self._seed = seed
        self.forget_all()

    def enrol(self, label: int, code: np.ndarray) -> None:
        """Learns a sample of a class.

        Args:
            label: 0 to classes - 1.
            code: int8 [code_size].
        """
        if self._buffer is not None:
            slot = self._buffer.offer(label)
            if slot is not None:
                self._samples[slot] = code
            return
        self._counts[label] = min(int(self._counts[label]) + 1, _MAX_COUNT)
        window = min(int(self._counts[label]), _WINDOW)
        difference = code.astype(np.int64) * 256 - self._means[label]
        share = (np.abs(difference) + window // 2) // window
        moved = self._means[label] + np.where(difference < 0, -share, share)
        self._means[label] = moved.astype(np.int16)

    def classify(self, code: np.ndarray) -> Found | None:
        """The class of a sample; None where nothing is known.

        Args:
            code: int8 [code_size].
        """
        known, labels = self._known()
        if not len(labels):
            return None
        difference = code.astype(np.int64) - known
        distances = (difference * difference).sum(1)
        order = np.argsort(distances, kind="stable")
        nearest = [int(labels[k]) for k in order[: self._enrolment.method.neighbours]]
        votes = [nearest.count(label) for label in nearest]
        label = nearest[votes.index(max(votes))]
        others = distances[labels != label]
        return Found(
            label,
            int(distances[labels == label].min()),
            int(others.min()) if others.size else NOTHING_ELSE,
        )

    def count(self, label: int) -> int:
        """Samples of a class that were enrolled, or that are kept of it."""
        if self._buffer is None:
            return int(self._counts[label])
        return self._buffer.labels.count(label)

    def forget_class(self, label: int) -> None:
        """Forgets the samples of a class; prototypes stay."""
        if self._buffer is None:
            self._means[label], self._counts[label] = 0, 0
            return
        for slot, last in self._buffer.forget(label):
            self._samples[slot] = self._samples[last]
            self._samples[last] = 0

    def forget_all(self) -> None:
        """Back to what was compiled."""
        enrolment, size = self._enrolment, self._enrolment.code_size
        slots = enrolment.method.slots
        self._buffer = ReplayBuffer(slots, enrolment.classes, self._seed) if slots else None
        self._samples = np.zeros((slots, size), np.int8)
        means = 0 if slots else enrolment.classes
        self._means, self._counts = np.zeros((means, size), np.int16), np.zeros(means, np.uint16)

    def state_bytes(self) -> bytes:
        """As a saved file has it."""
        if self._buffer is not None:
            return self._buffer.state_bytes() + self._samples.tobytes()
        return self._counts.astype("<u2").tobytes() + self._means.astype("<i2").tobytes()

    def _known(self) -> tuple[np.ndarray, np.ndarray]:
        """What a sample is compared with, in the order of the device: int64 codes and labels."""
        enrolment = self._enrolment
        if self._buffer is not None:
            labels: Sequence[int] | np.ndarray = self._buffer.labels
            own = self._samples[: len(labels)].astype(np.int64)
        else:
            labels = np.flatnonzero(self._counts)
            own = (self._means[labels].astype(np.int64) + 128) >> 8
        known = np.concatenate([enrolment.prototypes.astype(np.int64), own])
        return known, np.concatenate([enrolment.labels, labels]).astype(np.int64)
