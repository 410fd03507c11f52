"""What a device that learns classes from a few samples can do beside all others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.data import SampleSpec
from tinytrain.data.arrays import as_array
from tinytrain.data.given import given_inputs, given_samples
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.reference.enrol import NOTHING_ELSE
from tinytrain.simulation.device_calls import DeviceCalls
from tinytrain.simulation.device_result import library_samples
from tinytrain.simulation.enrolment import enrolled_spec
from tinytrain.simulation.library import LibrarySamples
from tinytrain.simulation.library_enrolment import FOUND, LibraryEnrolment


@dataclass(frozen=True, eq=False)
class ClassifyResult:
    """What samples were taken for. Distances are squared, as `tt_enrol_result` has them.

    Attributes:
        labels: the class of each, int32 [n].
        distances: to the nearest of what is known of that class, uint32 [n].
        others: to the nearest of all other classes, uint32 [n]; 2**32 - 1 where there is none.
        near: distance that 95 of 100 samples of the factory's classes did not exceed; None where
            no labelled calibration samples told it.
    """

    labels: np.ndarray
    distances: np.ndarray
    others: np.ndarray
    near: int | None

    @property
    def label(self) -> int:
        """The class of the last sample."""
        return int(self.labels[-1])

    @property
    def margins(self) -> np.ndarray:
        """1 - distance / other of each, float64 [n]: near 0 where another class is as near."""
        others = self.others.astype(np.float64)
        found = 1.0 - self.distances / np.maximum(others, 1.0)
        return np.where(self.others == NOTHING_ELSE, 1.0, found)


class EnrolmentCalls(DeviceCalls):
    """The part of a `Device` that is about classes from a few samples."""

    def enrol(self, x: Any, y: Any) -> None:
        """Learns samples as ones of their classes, without a gradient.

        Args:
            x: as the class says.
            y: a label for each sample, 0 to `enrolled.size - 1`: also one that the model's head
                does not have.

        Raises:
            DataError: x or y do not fit; then nothing was learned.
            UsageError: the model enrols no classes.
        """
        with self._enrolment() as (enrolment, spec):
            classes = enrolment.record.classes
            labels = as_array(y, Where("y"))
            if labels.size and labels.max() >= classes:
                raise DataError(
                    f"label {labels.max()} cannot be enrolled: labels are below {classes}",
                    where=Where("y"),
                    help=f"compile it with enrol_classes={labels.max() + 1} or more",
                )
            data = given_samples(x, labels, enrolled_spec(spec, enrolment.record.classes))
            for chunk in data.chunks():
                enrolment.enrol(library_samples(data, chunk))

    def classify(self, x: Any) -> ClassifyResult:
        """The classes of samples by what is enrolled, and by what the factory knew.

        Raises:
            DataError: x does not fit the model.
            UsageError: the model enrols no classes, or none is known yet.
        """
        with self._enrolment() as (enrolment, spec):
            data, _ = given_inputs(x, spec)
            rows = []
            for chunk in data.chunks():
                inputs = data.quantized(chunk)
                known = enrolment.classify(LibrarySamples(np.zeros(len(inputs), np.int32), inputs))
                if known is None:
                    raise UsageError("no class is known yet", help="call enrol first")
                rows.append(known)
        found = np.concatenate(rows) if rows else np.zeros(0, FOUND)
        labels, distances, others = (found[name].copy() for name in ("label", "distance", "other"))
        return ClassifyResult(labels, distances, others, enrolment.record.near)

    @property
    def enrolled(self) -> np.ndarray:
        """Samples of each class that are kept, or went into its mean: int64 [classes].

        Raises:
            UsageError: the model enrols no classes.
        """
        with self._enrolment() as (enrolment, _):
            return enrolment.counts()

    def forget_class(self, label: int) -> None:
        """Erases what was enrolled of a class; what the factory knew of it stays.

        Raises:
            DataError: it cannot be enrolled.
            UsageError: the model enrols no classes.
        """
        with self._enrolment() as (enrolment, _):
            enrolment.forget_class(label)

    def forget_all(self) -> None:
        """Erases all that was enrolled.

        Raises:
            UsageError: the model enrols no classes.
        """
        with self._enrolment() as (enrolment, _):
            enrolment.forget_all()

    @contextmanager
    def _enrolment(self) -> Iterator[tuple[LibraryEnrolment, SampleSpec]]:
        with self._running() as library:
            if library.model.enrolment is None:
                raise UsageError(
                    "the model enrols no classes",
                    help="compile it with enrol='ncm' or enrol='knn:SLOTS', and scheme='head'",
                )
            yield library.enrolment, self._spec
