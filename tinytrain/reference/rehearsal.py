"""A rehearsal set, and which of its samples a step takes: docs/arithmetic.md section 9."""

from __future__ import annotations

import zlib
from collections.abc import Hashable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from tinytrain.reference.update import mix

MAX_SLOTS = 2**16 - 1
"""Slots are counted in 16 bits."""

ROUNDS = 16
"""Of a shuffle; `ROUNDS` of runtime_c/src/tt_rehearsal.c."""

_WORD = 2**32
_SALT = 0x72656873


@dataclass(frozen=True, eq=False)
class RehearsalSet:
    """Labelled samples that a model carries in its flash, those of a class next to each other.

    Attributes:
        inputs: int8 [N, ...], packed as the model takes them; 1 to `MAX_SLOTS`.
        targets: int32 labels [N], ascending; of another target uint8 or float32 [N, target_size].
        warnings: sentences on what it cannot do.
        encoded: what frozen layers make of the samples, by what they leave, once it is known.
    """

    inputs: np.ndarray
    targets: np.ndarray
    warnings: tuple[str, ...] = ()
    encoded: dict[Hashable, np.ndarray] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.inputs)

    @cached_property
    def crc(self) -> int:
        """CRC-32 of inputs and targets, by which one set is told from another."""
        return zlib.crc32(self.targets.tobytes(), zlib.crc32(self.inputs.tobytes()))

    @cached_property
    def labels(self) -> tuple[int, ...]:
        """The classes that occur, one for each group of samples; empty where nothing is a label."""
        return tuple(np.unique(self.targets).tolist()) if self.targets.ndim == 1 else ()

    @cached_property
    def first(self) -> tuple[int, ...]:
        """Where each group begins, and at last where they end; one group where nothing is a
        label."""
        starts = np.searchsorted(self.targets, self.labels).tolist() if self.labels else [0]
        return (*starts, len(self))

    def slot(self, number: int, seed: int) -> int:
        """The sample of a step.

        Args:
            number: of the step among those on samples of the set, from 0.
            seed: of the model, 32 bits.
        """
        groups, base = len(self.first) - 1, mix(seed ^ _SALT)
        turn, place = divmod(number, groups)
        group = shuffled(place, groups, mix((base + turn * 0x9E3779B9) % _WORD))
        start, end = self.first[group : group + 2]
        cycle, place = divmod(turn, end - start)
        key = (base + cycle * 0x9E3779B9) % _WORD ^ ((group + 1) * 0x85EBCA6B) % _WORD
        return start + shuffled(place, end - start, mix(key))


def shuffled(place: int, count: int, key: int) -> int:
    """Where a place goes in a random order of `count` places, 0 to count - 1.

    The swap-or-not shuffle (Hoang, Morris and Rogaway, CRYPTO 2012), which needs no memory.

    Args:
        place: below `count`.
        count: 1 to 65,535.
        key: of the order, 32 bits.
    """
    for step in range(1, ROUNDS + 1):
        word = mix((key + step * 0x9E3779B9) % _WORD)
        partner = ((word * count >> 32) - place) % count
        if mix(word ^ max(place, partner)) & 1:
            place = partner
    return place
