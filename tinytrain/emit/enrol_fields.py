"""What the state of a model holds of enrolled classes."""

from __future__ import annotations

from tinytrain.emit.replay import StateField
from tinytrain.reference.enrol import Enrolment
from tinytrain.saved_file import layout

ENROL_FIELDS = (
    "enrolled",
    "enrolled_classes",
    "enrolled_labels",
    "enrolled_samples",
    "enrolled_counts",
    "enrolled_means",
)
"""Names in the state that no parameter may have."""


def enrol_fields(enrolment: Enrolment) -> tuple[StateField, ...]:
    """The fields, in order; zeros are the factory state."""
    slots, classes, codes = enrolment.method.slots, enrolment.classes, enrolment.code_size
    if not slots:
        return (
            StateField("enrolled_counts", "uint16_t", classes, 2 * classes),
            StateField("enrolled_means", "int16_t", classes * codes, 2 * classes * codes),
        )
    head = layout("tt_replay", "tt_replay.h").nbytes
    of_class = layout("tt_replay_class", "tt_replay.h").nbytes
    return (
        StateField("enrolled", "tt_replay", 1, head),
        StateField("enrolled_classes", "tt_replay_class", classes, classes * of_class),
        StateField("enrolled_labels", "uint16_t", slots, 2 * slots),
        StateField("enrolled_samples", "int8_t", slots * codes, slots * codes),
    )
