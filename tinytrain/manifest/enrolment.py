"""What the manifest says of classes that are learned from a few samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.schema import Count, OneOf, Positive, Whole


@dataclass(frozen=True, kw_only=True)
class EnrolmentRecord:
    """Classes that are told apart by a few samples, without training.

    Attributes:
        method: `ncm` for the nearest class mean, `knn` for the nearest neighbours.
        slots: number of samples that are kept; 0 where the mean of each class is.
        neighbours: number of nearest samples that vote.
        classes: number of labels that can be enrolled.
        features: number of elements that the head reads.
        codes: number of elements of what is compared.
        prototypes: number of classes that the firmware knows from labelled calibration samples.
        near: squared distance to the prototype of its own class that 95 of 100 of these samples
            do not exceed; null without labels.
        ram: bytes of RAM, and of a saved file, for what is enrolled.
    """

    method: Annotated[str, OneOf(("ncm", "knn"))]
    slots: Annotated[int, Whole(0, 65_535)]
    neighbours: Annotated[int, Whole(1, 15)]
    classes: Annotated[int, Whole(1, 65_535)]
    features: Positive
    codes: Positive
    prototypes: Count
    near: Count | None
    ram: Positive
