"""Labels for samples that have none: docs/arithmetic.md, "Pseudo-labels"."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tinytrain.reference.enrol import Enrolment, Found

UNIT = 256
"""Of a ratio of distances."""

LEFT = -1
"""In the place of the label of a sample that was left alone."""


@dataclass(frozen=True, eq=False)
class PseudoLabels:
    """When a sample without a label is taken for one of a class.

    Attributes:
        known: the classes that it is compared with.
        far: squared distance to its class that it may have at most.
        ratio: in 1/`UNIT` of the distance to the nearest other class; that to its own has to be
            smaller. 1 to `UNIT` - 1.
        samples: labelled calibration samples that both were found by.
        taken: share of these that would be taken, 0 to 1.
        right: share of the taken ones whose pseudo-label is their label.
    """

    known: Enrolment
    far: int
    ratio: int
    samples: int
    taken: float
    right: float

    def label_of(self, found: Found, classes: int) -> int:
        """The pseudo-label of a sample; `LEFT` where it is left alone.

        Args:
            found: what it was taken for.
            classes: of the head; a class that was enrolled beyond them cannot be trained on.
        """
        is_near = found.distance <= self.far
        is_alone = UNIT * found.distance < self.ratio * found.other
        return found.label if is_near and is_alone and found.label < classes else LEFT


def least_ratio(distance: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The smallest ratio at which samples would be taken, int64 [N]; `UNIT` + 1 where none is.

    Args:
        distance, other: squared distances to the nearest class and to the nearest other one.
    """
    ratio = UNIT * distance.astype(np.int64) // np.maximum(other.astype(np.int64), 1) + 1
    return np.where(other > distance, ratio, UNIT + 1)
