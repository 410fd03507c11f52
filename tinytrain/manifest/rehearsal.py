"""What the manifest says of a rehearsal set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from tinytrain.manifest.schema import Positive, Whole, key


@dataclass(frozen=True, kw_only=True)
class RehearsalRecord:
    """The rehearsal set.

    Attributes:
        slots: number of samples.
        sample_bytes: size of a sample, without its target.
        nbytes: size of the set in flash.
        crc: CRC-32 of inputs and targets, by which one set is told from another.
        classes: number of samples by class; empty where their targets are no labels.
    """

    slots: Annotated[int, Whole(1, 65_535)]
    sample_bytes: Positive
    nbytes: Positive = field(metadata=key("bytes"))
    crc: Annotated[int, Whole(0, 2**32 - 1)]
    classes: Mapping[str, Positive]
