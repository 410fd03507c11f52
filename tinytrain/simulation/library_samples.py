"""Samples of a model in a shared library."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import DataError
from tinytrain.simulation.library_calls import LibraryCalls, pointer
from tinytrain.simulation.stream import TARGET_DTYPES


@dataclass(frozen=True, eq=False)
class LibrarySamples:
    """Samples for a library.

    Attributes:
        targets: int32 [N], labels from 0 to classes - 1; a label for each
            pixel uint8 [N, pixels]; anything else float32 [N, outputs].
        inputs: int8 [N, ...]; None where `frozen` holds all that is needed.
        frozen: the frozen activations, uint8 [N, frozen_bytes], from `HostLibrary.frozen`; None
            computes them.
    """

    targets: np.ndarray
    inputs: np.ndarray | None = None
    frozen: np.ndarray | None = None


class SampleArrays(ctypes.Structure):
    """`samples` of library.c.j2."""

    _fields_ = (
        ("inputs", ctypes.c_void_p),
        ("frozen", ctypes.c_void_p),
        ("targets", ctypes.c_void_p),
        ("frozen_bytes", ctypes.c_size_t),
    )


class SampleLibrary(LibraryCalls):
    """Calls that are given samples."""

    def _check_targets(self, samples: LibrarySamples) -> None:
        labels = samples.targets
        if not self.model.classes:
            assert labels.shape[1:] == (self.model.target_size,), "targets of another size"
            return
        if labels.size and not (labels.min() >= 0 and labels.max() < self.model.classes):
            raise DataError(f"a label is not one of the model's {self.model.classes} classes")

    def _struct(self, samples: LibrarySamples) -> SampleArrays:
        """Pointers into arrays that `samples` keeps alive."""
        inputs, frozen, targets = samples.inputs, samples.frozen, samples.targets
        count = len(targets)
        assert inputs is not None or frozen is not None, "samples without inputs"
        assert targets.dtype == TARGET_DTYPES[self.model.wants] and targets.flags.c_contiguous
        if inputs is not None:
            assert inputs.dtype == np.int8 and inputs.flags.c_contiguous
            assert inputs.size == count * self.model.input_size
        if frozen is not None:
            assert frozen.dtype == np.uint8 and frozen.flags.c_contiguous
            assert frozen.shape == (count, self.model.frozen_bytes)
        size = self.model.frozen_bytes
        return SampleArrays(pointer(inputs), pointer(frozen), pointer(targets), size)
