"""The frozen-activation cache: the outputs of the frozen layers, computed once for each sample.

The layers before the first one that trains give the same for the same sample in every epoch. A host
has the memory to cache that; a microcontroller has not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.simulation.stream import SampleStream

FROZEN_MEMORY = 512 * 1024 * 1024
"""Bytes of the cache of a session on the host, unless told otherwise."""

NO_SLOT = 0x7FFF_FFFF
"""Entry of a sample that is not cached."""

LEFT_OUT = 0x8000_0000
"""In the entry of a sample: the stream brought its input before, and does not again."""


@dataclass(frozen=True, eq=False)
class FrozenCache:
    """An entry for each sample of a stream: the slot of its frozen activations, or `NO_SLOT`.

    `LEFT_OUT` is added to the slot of a training sample that came before.

    Attributes:
        slots: how many there are; each belongs to one sample for the whole session.
        evaluation: uint32 [evaluation samples]; the second evaluation finds what the first left.
        steps: uint32 [steps].
    """

    slots: int
    evaluation: np.ndarray
    steps: np.ndarray


def plan_frozen_cache(stream: SampleStream, frozen_bytes: int, memory: int) -> FrozenCache | None:
    """Gives slots to samples that occur more than once, in the order in which they come.

    Args:
        frozen_bytes: frozen activations of one sample; 0 where no layer is frozen.
        memory: bytes that all slots together may take.

    Returns:
        None where a cache would gain nothing.
    """
    if frozen_bytes == 0 or memory < frozen_bytes:
        return None
    # Every evaluation sample occurs in both evaluations.
    slots = memory // frozen_bytes
    evaluated = min(stream.eval_count, slots)
    evaluation = np.full(stream.eval_count, NO_SLOT, np.uint32)
    evaluation[:evaluated] = np.arange(evaluated)

    if stream.drifts:
        # The same sample is another one when it comes again.
        steps = np.full(stream.step_count, NO_SLOT, np.uint32)
        return FrozenCache(evaluated, evaluation, steps) if evaluated else None
    samples, first, index, uses = np.unique(
        stream.order, return_index=True, return_inverse=True, return_counts=True
    )
    repeated = np.flatnonzero(uses > 1)
    repeated = repeated[np.argsort(first[repeated])][: slots - evaluated]
    slot = np.full(samples.size, NO_SLOT, np.uint32)
    slot[repeated] = evaluated + np.arange(repeated.size, dtype=np.uint32)
    steps = slot[index]
    steps[(first[index] != np.arange(stream.step_count)) & (steps != NO_SLOT)] |= LEFT_OUT

    used = evaluated + repeated.size
    return FrozenCache(used, evaluation, steps) if used else None
