"""Steps in portions on samples that are kept: what the portion takes that keeps or takes one."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.emit.rehearsal import Rehearsal
from tinytrain.emit.replay import Replay

_ANY = 300
"""Instructions around it."""

_BYTE = 4
"""Of a byte that is copied by the smallest library's loop."""

_CHECKED = 24
"""Of a byte of a slot in flash: copied, and under a CRC of two look-ups a byte."""

_SLOT, _CLASS = 24, 32
"""Of a slot's label, and of a class's counts, which a decision about a sample looks through."""

_CHOICE = 3_000
"""Of the next sample of a rehearsal set: two shuffles of 16 rounds, on a core that has no
multiplication to 64 bits."""


@dataclass(frozen=True)
class KeptPortion:
    """The portion between the frozen layers and the others.

    Attributes:
        cost: estimated instructions; callbacks come on top.
        remembers: whether a step on a new sample may have it.
    """

    cost: int
    remembers: bool

    @staticmethod
    def of(replay: Replay | None, rehearsal: Rehearsal | None) -> KeptPortion | None:
        """None where nothing is kept."""
        costs = []
        if replay is not None:
            byte = _CHECKED if replay.in_flash else _BYTE
            counted = _SLOT * replay.slots + _CLASS * max(replay.classes, 1)
            costs.append(_ANY + counted + byte * replay.slot_bytes)
        if rehearsal is not None:
            costs.append(_ANY + _CHOICE + _BYTE * rehearsal.sample_bytes)
        return KeptPortion(max(costs), replay is not None) if costs else None
