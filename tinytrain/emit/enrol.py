"""Enrolled classes of a model: their fields in the state, their constants, what calls them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.emit.context import EmitContext
from tinytrain.emit.enrol_fields import enrol_fields
from tinytrain.emit.replay import StateField
from tinytrain.ir.graph import Value
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.reference.enrol import CodeMap, Enrolment


@dataclass(frozen=True)
class Enrol:
    """What the templates name.

    Attributes:
        enrolment: what was prepared when the model was compiled.
        place: C expression for what the head reads.
        map: C expression for the address of the map to codes; None where there is none.
        prototypes, labels: C names of the constants.
    """

    enrolment: Enrolment
    place: str
    map: str | None
    prototypes: str
    labels: str

    @classmethod
    def of(cls, enrolment: Enrolment | None, context: EmitContext, x: Value) -> Enrol | None:
        """None without an enrolment.

        Args:
            x: what the head reads.
        """
        if enrolment is None:
            return None
        context.layer = ""
        address = None if enrolment.map is None else _map(context, enrolment.map)
        names = ["", ""]
        if enrolment.labels.size:
            names = [
                context.array("enrol_prototypes", enrolment.prototypes),
                context.array("enrol_labels", enrolment.labels),
            ]
        return cls(enrolment, context.place(x), address, *names)

    @property
    def slots(self) -> int:
        """Samples that are kept; 0 where means are."""
        return self.enrolment.method.slots

    @property
    def classes(self) -> int:
        """Labels are below it."""
        return self.enrolment.classes

    @property
    def codes(self) -> int:
        """Elements of a code."""
        return self.enrolment.code_size

    def fields(self) -> tuple[StateField, ...]:
        """What the state holds of it, in order; zeros are the factory state."""
        return enrol_fields(self.enrolment)

    @property
    def ram_bytes(self) -> int:
        """What it adds to the state and to a saved file."""
        return sum(field.nbytes for field in self.fields())

    def most_within(self, nbytes: int) -> int:
        """How many slots, or classes where means are kept, so many bytes hold; 0 for none."""
        of_one = 2 + self.codes if self.slots else 2 + 2 * self.codes
        fixed = self.ram_bytes - of_one * (self.slots or self.classes)
        return max((nbytes - fixed) // of_one, 0)

    def record(self) -> EnrolmentRecord:
        """What the manifest says of it."""
        enrolment = self.enrolment
        return EnrolmentRecord(
            method=enrolment.method.name,
            slots=enrolment.method.slots,
            neighbours=enrolment.method.neighbours,
            classes=enrolment.classes,
            features=enrolment.features,
            codes=enrolment.code_size,
            prototypes=len(enrolment.labels),
            near=enrolment.near,
            ram=self.ram_bytes,
        )


def _map(context: EmitContext, found: CodeMap) -> str:
    fields: dict[str, object] = {
        "features": found.matrix.shape[1],
        "codes": found.matrix.shape[0],
        "matrix": context.array("enrol_matrix", found.matrix),
        "bias": context.array("enrol_bias", found.bias.astype(np.int32)),
    }
    requant = {
        "multiplier": context.array("enrol_multiplier", found.multiplier),
        "shift": context.array("enrol_shift", found.shift),
        "lo": -128,
        "hi": 127,
    }
    text = ", ".join(f".{name} = {value}" for name, value in requant.items())
    return context.struct("tt_enrol_map", "enrol_map", {**fields, "requant": f"{{{text}}}"})
