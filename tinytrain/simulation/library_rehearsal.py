"""The rehearsal set of a model in a shared library."""

from __future__ import annotations

import ctypes

import numpy as np

from tinytrain.simulation.library_calls import LibraryCalls, check, pointer


class _Metrics(ctypes.Structure):
    """`tt_metrics` of tinytrain.h."""

    _fields_ = (
        ("count", ctypes.c_uint32),
        ("correct", ctypes.c_uint32),
        ("loss", ctypes.c_float),
    )


class RehearsalLibrary(LibraryCalls):
    """Calls for a model that has a rehearsal set."""

    def rehearse(self, steps: int) -> tuple[np.ndarray, np.ndarray]:
        """So many steps on samples of the rehearsal set; losses and predictions as of `train`."""
        assert self.model.rehearsal is not None, "the model has no rehearsal set"
        losses, predictions = np.empty(steps, np.float32), np.empty(steps, np.int32)
        function = self._function("library_rehearse", ctypes.c_int)
        check(function(self._state, ctypes.c_size_t(steps), pointer(losses), pointer(predictions)))
        return losses, predictions

    def evaluate_rehearsal(self) -> tuple[int, float, np.ndarray]:
        """What the model finds on its rehearsal set; nothing is learned.

        Returns:
            Samples that were predicted right (0 where nothing is a label), the mean loss, and for
            each class the share of its samples that were right, float32 [classes]; -1 for a class
            that the set lacks.
        """
        assert self.model.rehearsal is not None, "the model has no rehearsal set"
        metrics = _Metrics()
        recall = np.full(self.model.classes, -1, np.float32)
        given = (pointer(recall),) if self.model.classes else ()
        function = self._function("evaluate_rehearsal", ctypes.c_int)
        check(function(self._state, ctypes.byref(metrics), *given))
        return metrics.correct, metrics.loss, recall
