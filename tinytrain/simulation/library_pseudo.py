"""Samples without labels for a model in a shared library."""

from __future__ import annotations

import ctypes

import numpy as np

from tinytrain.errors import DataError, UsageError
from tinytrain.simulation.library_calls import check, pointer
from tinytrain.simulation.library_samples import LibrarySamples, SampleLibrary
from tinytrain.simulation.status import STATUS
from tinytrain.simulation.unlabelled import NOBODY_LOOKS

_EMPTY = STATUS.index("TT_ERROR_EMPTY")

JUDGED = np.dtype(
    [
        ("label", np.int32),
        ("distance", np.uint32),
        ("other", np.uint32),
        ("loss", np.float32),
        ("prediction", np.int32),
    ]
)
"""`tt_pseudo_result` of tt_pseudo.h."""


class PseudoLibrary(SampleLibrary):
    """Calls for a model that learns from samples without labels."""

    def train_unlabelled(
        self,
        samples: LibrarySamples,
        order: np.ndarray | None = None,
        rates: np.ndarray | None = None,
        *,
        rehearsal_steps: int = 0,
    ) -> np.ndarray:
        """Trains on the samples that are sure enough, as what the model takes them for.

        Args:
            samples: their targets are not looked at.
            order: index of each sample, int64 [n]; None takes each once.
            rates: that each step's schedule starts from, float32 [n]; None keeps the state's own.
            rehearsal_steps: on samples of the rehearsal set after each that was taken.

        Returns:
            `JUDGED` [n]; the label -1 stands for a sample that was left alone.

        Raises:
            DataError: an index is out of range.
            UsageError: the guard has no labelled samples to look at.
        """
        assert self.model.pseudo is not None, "the model learns from no sample without a label"
        assert self.model.rehearsal is not None or not rehearsal_steps, "there is no rehearsal set"
        count = len(samples.targets)
        order = np.ascontiguousarray(np.arange(count) if order is None else order, np.int64)
        if order.size and not (order.min() >= 0 and order.max() < count):
            raise DataError(f"the order names samples beyond the {count} there are")
        steps = None if rates is None else np.ascontiguousarray(rates, np.float32)
        assert steps is None or steps.shape == order.shape
        found = np.zeros(order.size, JUDGED)
        status = self._function("library_unlabelled", ctypes.c_int)(
            self._state,
            ctypes.byref(self._struct(samples)),
            ctypes.c_size_t(order.size),
            pointer(order),
            pointer(steps),
            ctypes.c_uint32(rehearsal_steps),
            pointer(found),
        )
        if status == _EMPTY:
            raise UsageError(NOBODY_LOOKS, help="give keep_apart 50 labelled samples or more")
        check(status)
        return found

    def unlabelled_counts(self) -> tuple[int, int]:
        """Samples without labels that were taken, and those that were left alone, as the health
        counters have them."""
        counts = np.zeros(2, np.uint32)
        self._function("unlabelled", None)(self._state, pointer(counts))
        return int(counts[0]), int(counts[1])
