"""When a sample is taken for one of a class, beside its twin, at every edge."""

from __future__ import annotations

import ctypes as c
import itertools

import numpy as np
import pytest

from tests.support.runtime.kernels import Kernels
from tinytrain.reference.enrol import NOTHING_ELSE, Enrolment, EnrolMethod, Found
from tinytrain.reference.pseudo import LEFT, UNIT, PseudoLabels, least_ratio

FAR = 1000
NOBODY = Enrolment(
    EnrolMethod(), 4, 1, None, np.zeros((0, 1), np.int8), np.zeros(0, np.uint16), None
)


class EnrolResult(c.Structure):
    """`tt_enrol_result`."""

    _fields_ = (("label", c.c_int32), ("distance", c.c_uint32), ("other", c.c_uint32))


class Counts(c.Structure):
    """`tt_pseudo_counts`."""

    _fields_ = (("taken", c.c_uint32), ("left", c.c_uint32))


@pytest.mark.parametrize("ratio", [1, 127, 128, UNIT - 1])
def test_the_edges(ratio: int, kernels: Kernels) -> None:
    pseudo = PseudoLabels(NOBODY, FAR, ratio, 1, 1.0, 1.0)
    distances = (0, 1, FAR - 1, FAR, FAR + 1, NOTHING_ELSE - 1)
    labels = set()
    for distance, label in itertools.product(distances, (0, 2, 3)):
        # Where the product is just as large, one less and one more.
        edge = UNIT * distance // ratio
        for other in (0, max(edge - 1, 0), edge, edge + 1, NOTHING_ELSE):
            found = Found(label, distance, min(other, NOTHING_ELSE))
            wanted = pseudo.label_of(found, 3)
            result = EnrolResult(found.label, found.distance, found.other)
            thresholds = c.c_uint32(FAR), c.c_uint32(ratio), c.c_int32(3)
            name, of = "pseudo_label", c.byref(result)
            given = kernels.call(name, of, *thresholds, restype=c.c_int32)
            assert given == wanted, found
            labels.add(given)
            least = least_ratio(np.array([found.distance]), np.array([found.other]))[0]
            assert (wanted != LEFT) == (least <= ratio and distance <= FAR and label < 3), found
    assert labels == {LEFT, 0, 2}


def test_counts_stay_at_their_end(kernels: Kernels) -> None:
    counts = Counts(2**32 - 2, 0)
    for label in (0, 3, LEFT, 1):
        kernels.call("pseudo_count", c.byref(counts), c.c_int32(label))
    assert (counts.taken, counts.left) == (2**32 - 1, 1)
