"""The replay buffer of a model: its fields in the state, and what a slot holds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tinytrain.emit.c_text import C_TYPES
from tinytrain.emit.frozen import FrozenPart
from tinytrain.errors import UsageError
from tinytrain.ir.types import TensorType
from tinytrain.manifest.records import ReplayRecord
from tinytrain.reference.replay import MAX_SLOTS
from tinytrain.saved_file import layout, samples_bytes

REPLAY_FIELDS = (
    "replay",
    "replay_classes",
    "replay_labels",
    "replay_targets",
    "replay_samples",
    "replay_target",
)
"""Names in the state that no parameter may have."""

_HEADER = "tt_replay.h"
_LABEL_BYTES = 4
_CRC_BYTES = 4


@dataclass(frozen=True)
class StateField:
    """An array in the state that is saved with it.

    Attributes:
        c_type: of an element.
        size: elements.
        nbytes: of the whole array.
        initial: the C name of its factory value; NULL stands for zeros.
        is_samples: whether it is saved in the file of samples.
    """

    name: str
    c_type: str
    size: int
    nbytes: int
    initial: str = "NULL"
    is_samples: bool = False


@dataclass(frozen=True)
class Replay:
    """A buffer of samples as the frozen layers leave them for the others.

    Attributes:
        slots: 1 to 65,535.
        place: "ram" or "flash".
        classes: 0 for a regression.
        target_bytes: of a target that is no label; 0 for a label.
        target_type: in C, of an element of such a target.
        sample_bytes: what a slot holds of the sample.

    Raises:
        UsageError: there are more classes than the bookkeeping can count.
    """

    slots: int
    place: str
    classes: int
    target_bytes: int
    target_type: str
    sample_bytes: int

    def __post_init__(self) -> None:
        if self.classes > MAX_SLOTS:
            raise UsageError(
                f"a replay buffer counts {MAX_SLOTS} classes at most, and the model has "
                f"{self.classes}",
                help="compile without --replay",
            )

    @classmethod
    def of(
        cls, slots: int, place: str, classes: int, target: TensorType, part: FrozenPart
    ) -> Replay | None:
        """None for 0 slots. `target`: of a sample."""
        if slots == 0:
            return None
        nbytes = 0 if classes else target.nbytes
        c_type = C_TYPES[np.dtype(target.dtype.numpy)]
        return cls(slots, place, classes, nbytes, c_type, part.nbytes)

    @property
    def in_flash(self) -> bool:
        """Whether slots lie behind callbacks."""
        return self.place == "flash"

    @property
    def slot_bytes(self) -> int:
        """Of a slot where it lies; in flash with a label and a CRC."""
        if self.in_flash:
            return (self.target_bytes or _LABEL_BYTES) + self.sample_bytes + _CRC_BYTES
        return self.target_bytes + self.sample_bytes

    @property
    def ram_bytes_per_slot(self) -> int:
        """What one slot more costs in the state."""
        return 2 + (0 if self.in_flash else self.slot_bytes)

    def fields(self) -> tuple[StateField, ...]:
        """What the state holds of it, in order; zeros are the factory state.

        Slots in RAM are saved in a file of their own. The bookkeeping of slots in flash, which is
        small, is saved with what was learned.
        """
        classes, slots = max(self.classes, 1), self.slots
        of_class = layout("tt_replay_class", _HEADER).nbytes
        fields = [
            StateField("replay", "tt_replay", 1, layout("tt_replay", _HEADER).nbytes),
            StateField("replay_classes", "tt_replay_class", classes, classes * of_class),
            StateField("replay_labels", "uint16_t", slots, 2 * slots),
        ]
        if not self.in_flash:
            if self.target_bytes:
                size = slots * self.target_bytes
                width = 1 if self.target_type == "uint8_t" else 4
                fields.append(StateField("replay_targets", self.target_type, size // width, size))
            size = slots * self.sample_bytes
            fields.append(StateField("replay_samples", "uint8_t", size, size))
            fields = [replace(field, is_samples=True) for field in fields]
        return tuple(fields)

    @property
    def samples_bytes(self) -> int:
        """Of the file of samples; 0 where the slots lie in flash."""
        return 0 if self.in_flash else samples_bytes(self._fields_bytes)

    @property
    def ram_bytes(self) -> int:
        """What it adds to the state: a target out of flash needs a place too."""
        return self._fields_bytes + (self.target_bytes if self.in_flash else 0)

    @property
    def _fields_bytes(self) -> int:
        return sum(field.nbytes for field in self.fields())

    def record(self) -> ReplayRecord:
        """What the manifest says of it."""
        return ReplayRecord(
            slots=self.slots,
            place=self.place,
            slot_bytes=self.slot_bytes,
            nbytes=self.slots * self.slot_bytes,
            ram=self.ram_bytes,
            samples_bytes=self.samples_bytes,
        )
