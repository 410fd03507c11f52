"""Enrolled classes of a model in a shared library."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.errors import DataError
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.simulation.status import STATUS

_EMPTY = STATUS.index("TT_ERROR_EMPTY")

FOUND = np.dtype([("label", np.int32), ("distance", np.uint32), ("other", np.uint32)])
"""`tt_enrol_result` of tt_enrol.h."""


@dataclass(frozen=True, eq=False)
class LibraryEnrolment:
    """What a library does with classes that are learned from a few samples.

    Attributes:
        record: of the model.
        state: the address of the session.
        function: finds a function of the model by its name behind the prefix.
        struct: samples as the library takes them.
    """

    record: EnrolmentRecord
    state: ctypes.c_void_p
    function: Callable[[str, type | None], Callable[..., int]]
    struct: Callable[[Any], ctypes.Structure]

    def enrol(self, samples: Any, order: np.ndarray | None = None) -> None:
        """Learns samples as ones of the classes in their targets, one after the other.

        Args:
            samples: `LibrarySamples`; labels may be those of new classes.
            order: indices of samples, int64 [n]; None takes each once.

        Raises:
            DataError: a label cannot be enrolled, or an index is out of range; then nothing was.
        """
        labels, classes = samples.targets, self.record.classes
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise DataError(f"a label is not one of the {classes} classes that can be enrolled")
        order = np.arange(len(labels)) if order is None else order
        order = np.ascontiguousarray(order, np.int64)
        if order.size and not (order.min() >= 0 and order.max() < len(labels)):
            raise DataError(f"the order names samples beyond the {len(labels)} there are")
        status = self.function("library_enrol", ctypes.c_int)(
            self.state,
            ctypes.byref(self.struct(samples)),
            ctypes.c_size_t(order.size),
            ctypes.c_void_p(order.ctypes.data),
        )
        assert status == 0, "labels were checked"

    def classify(self, samples: Any) -> np.ndarray | None:
        """What samples are taken for, `FOUND` [N]; None where no class is known.

        Args:
            samples: `LibrarySamples`; their targets are not looked at.
        """
        found = np.zeros(len(samples.targets), FOUND)
        status = self.function("library_classify", ctypes.c_int)(
            self.state,
            ctypes.byref(self.struct(samples)),
            ctypes.c_size_t(found.size),
            ctypes.c_void_p(found.ctypes.data),
        )
        assert status in (0, _EMPTY), STATUS[status]
        return None if status == _EMPTY else found

    def counts(self) -> np.ndarray:
        """Samples of each class that are kept, or went into its mean: int64 [classes]."""
        count = self.function("enrolled", ctypes.c_uint32)
        labels = range(self.record.classes)
        return np.array([count(self.state, ctypes.c_int32(label)) for label in labels], np.int64)

    def forget_class(self, label: int) -> None:
        """Erases what was enrolled of a class.

        Raises:
            DataError: it cannot be enrolled.
        """
        if self.function("forget_class", ctypes.c_int)(self.state, ctypes.c_int32(label)) != 0:
            classes = self.record.classes
            raise DataError(f"{label} is not one of the {classes} classes that can be enrolled")

    def forget_all(self) -> None:
        """Erases all that was enrolled."""
        self.function("forget_all", None)(self.state)
