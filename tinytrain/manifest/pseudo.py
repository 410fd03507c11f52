"""What the manifest says of pseudo-labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.records import Share
from tinytrain.manifest.schema import Count, Positive, Whole


@dataclass(frozen=True, kw_only=True)
class PseudoRecord:
    """When a sample without a label is taken for one of a class, and trained on.

    Attributes:
        classes: number of classes that the firmware knows from labelled calibration samples.
        far: squared distance to its class that a sample may have at most.
        ratio: 256 times the share of the squared distance to the nearest other class that the
            distance to its own has to be below.
        samples: number of labelled calibration samples that both were found by.
        taken: share of these that would be taken.
        right: share of the taken ones whose pseudo-label is their label.
    """

    classes: Annotated[int, Whole(2, 65_535)]
    far: Count
    ratio: Annotated[int, Whole(1, 255)]
    samples: Positive
    taken: Share
    right: Share
