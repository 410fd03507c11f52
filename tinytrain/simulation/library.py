"""The generated sources as a shared library of this machine: many steps for one call.

A session's program reads a stream and prints a line for each step, which suits an emulator. An
experiment of many runs goes through this library instead: the same C, its loops around the model in
`codegen/library.c.j2`.
"""

from __future__ import annotations

import ctypes
import hashlib
from pathlib import Path

import numpy as np

from tinytrain.errors import DataError
from tinytrain.manifest.interface import ModelInterface
from tinytrain.reference.anomaly import Use
from tinytrain.saved_file import read_saved
from tinytrain.simulation.judged import JUDGED
from tinytrain.simulation.library_calls import check, pointer
from tinytrain.simulation.library_enrolment import LibraryEnrolment
from tinytrain.simulation.library_following import FollowingLibrary
from tinytrain.simulation.library_guard import GuardLibrary
from tinytrain.simulation.library_pseudo import PseudoLibrary
from tinytrain.simulation.library_rehearsal import RehearsalLibrary
from tinytrain.simulation.library_samples import LibrarySamples as LibrarySamples
from tinytrain.simulation.library_samples import SampleArrays


class HostLibrary(RehearsalLibrary, FollowingLibrary, GuardLibrary, PseudoLibrary):
    """A model in a shared library, with one state of its own, which starts as factory.

    Args:
        path: from `build_library`.
        model: of the same folder.

    Raises:
        ToolchainError: the library cannot be loaded.
    """

    takes_signed = False
    """Whether `load` may be given a signed file, which somebody verifies."""

    def __init__(self, path: Path, model: ModelInterface) -> None:
        super().__init__(path, model)
        self._kept: LibrarySamples | None = None
        self.init()

    def init(self) -> None:
        """Back to the factory state."""
        self._function("init", None)(self._state)

    def set_learning_rate(self, rate: float) -> None:
        """0 to the limit that the model was compiled with.

        Raises:
            DataError: it is above the limit.
        """
        function = self._function("set_learning_rate", ctypes.c_int)
        check(function(self._state, ctypes.c_float(rate)))

    def learning_rate(self) -> float:
        """Of the next step."""
        return float(self._function("learning_rate", ctypes.c_float)(self._state))

    def train(
        self,
        samples: LibrarySamples,
        order: np.ndarray,
        rates: np.ndarray | None = None,
        *,
        replay_steps: int = 0,
        rehearsal_steps: int = 0,
    ) -> tuple[np.ndarray, np.ndarray]:
        """One training step for each entry of `order`.

        Args:
            order: index of each step's sample, int64 [n].
            rates: that each step's schedule starts from, float32 [n]; None keeps the state's own.
            replay_steps: on remembered samples after each of them, for a model with a replay
                buffer, which then remembers every sample.
            rehearsal_steps: on samples of the rehearsal set, after those, for a model that has one.

        Returns:
            Loss, float32 [n], and predicted class, int32 [n], of each step before its update. A
            step whose loss is not finite was skipped.

        Raises:
            DataError: an index or a label is out of range, or a target is not finite.
        """
        self._check_targets(samples)
        assert self.model.replay is not None or not replay_steps, "the model has no replay buffer"
        assert self.model.rehearsal is not None or not rehearsal_steps, "there is no rehearsal set"
        order = np.ascontiguousarray(order, np.int64)
        if order.size and not (order.min() >= 0 and order.max() < len(samples.targets)):
            raise DataError(f"the order names samples beyond the {len(samples.targets)} there are")
        steps = None if rates is None else np.ascontiguousarray(rates, np.float32)
        assert steps is None or steps.shape == order.shape
        losses, predictions = np.empty(order.size, np.float32), np.empty(order.size, np.int32)
        status = self._function("library_train", ctypes.c_int)(
            self._state,
            ctypes.byref(self._struct(samples)),
            ctypes.c_size_t(order.size),
            pointer(order),
            pointer(steps),
            ctypes.c_uint32(replay_steps),
            ctypes.c_uint32(rehearsal_steps),
            pointer(losses),
            pointer(predictions),
        )
        check(status)
        return losses, predictions

    def remember(self, samples: LibrarySamples) -> None:
        """Offers samples to the replay buffer; nothing is learned.

        Raises:
            DataError: a label is out of range, or a target is not finite.
        """
        assert self.model.replay is not None, "the model has no replay buffer"
        self._check_targets(samples)
        function = self._function("library_remember", ctypes.c_int)
        of = self._struct(samples)
        check(function(self._state, ctypes.byref(of), ctypes.c_size_t(len(samples.targets))))

    def evaluate(self, samples: LibrarySamples) -> tuple[np.ndarray, np.ndarray]:
        """Cross-entropy, float32 [N], and predicted class, int32 [N], of every sample of a
        classification; nothing is learned, and label smoothing does not count.

        Raises:
            DataError: a label is out of range.
        """
        return self._measure("library_evaluate", samples)

    def score(self, samples: LibrarySamples) -> tuple[np.ndarray, np.ndarray]:
        """The loss that a step would report, float32 [N], and the index of the largest output,
        int32 [N], of every sample; nothing is learned.

        Raises:
            DataError: a label is out of range, or a target is not finite.
        """
        return self._measure("library_score", samples)

    def infer(self, inputs: np.ndarray) -> np.ndarray:
        """The outputs for samples, float32 [N, outputs].

        Args:
            inputs: int8 [N, ...], contiguous.
        """
        assert inputs.dtype == np.int8 and inputs.flags.c_contiguous
        assert inputs.size == len(inputs) * self.model.input_size
        outputs = np.empty((len(inputs), self.model.output_size), np.float32)
        status = self._function("library_infer", ctypes.c_int)(
            self._state,
            ctypes.byref(SampleArrays(pointer(inputs), None, None)),
            ctypes.c_size_t(len(outputs)),
            pointer(outputs),
        )
        check(status)
        return outputs

    @property
    def enrolment(self) -> LibraryEnrolment:
        """The classes that can be enrolled, of a model that was compiled with --enrol."""
        assert self.model.enrolment is not None, "the model enrols no classes"
        return LibraryEnrolment(self.model.enrolment, self._state, self._function, self._struct)

    def _measure(self, function: str, samples: LibrarySamples) -> tuple[np.ndarray, np.ndarray]:
        self._check_targets(samples)
        count = len(samples.targets)
        losses, predictions = np.empty(count, np.float32), np.empty(count, np.int32)
        status = self._function(function, ctypes.c_int)(
            self._state,
            ctypes.byref(self._struct(samples)),
            ctypes.c_size_t(count),
            pointer(losses),
            pointer(predictions),
        )
        check(status)
        return losses, predictions

    def frozen(self, inputs: np.ndarray, out: np.ndarray) -> None:
        """Compute the frozen activations of samples.

        Args:
            inputs: int8 [N, ...].
            out: uint8 [N, frozen_bytes], contiguous; written.
        """
        assert self.model.frozen_bytes > 0, "no layer is frozen"
        assert out.shape == (len(inputs), self.model.frozen_bytes) and out.flags.c_contiguous
        given = np.ascontiguousarray(inputs, np.int8)
        assert given.size == len(given) * self.model.input_size
        size = ctypes.c_size_t(self.model.frozen_bytes)
        function = self._function("library_frozen", None)
        function(self._state, ctypes.c_size_t(len(given)), pointer(given), pointer(out), size)

    def judge(self, samples: LibrarySamples, use: Use) -> np.ndarray:
        """What a model with `anomaly` says of every sample, `judged.JUDGED` [N].

        Raises:
            DataError: a target is not finite.
        """
        self._check_targets(samples)
        found = np.zeros(len(samples.targets), JUDGED)
        status = self._function("library_anomaly", ctypes.c_int)(
            self._state,
            ctypes.byref(self._struct(samples)),
            ctypes.c_size_t(found.size),
            ctypes.c_int(use),
            pointer(found),
        )
        check(status)
        return found

    def forget_normal(self) -> None:
        """What was learned as normal; the warm-up begins anew."""
        self._function("anomaly_reset", None)(self._state)

    def guard(self, kept: LibrarySamples | None) -> None:
        """Gives a model with a guard the samples that it looks at, and forgets its checks so far.

        Args:
            kept: labelled samples that no step learns from; None leaves it those that the model
                holds itself, and the stream.

        Raises:
            DataError: a label is out of range.
        """
        if kept is not None:
            self._check_targets(kept)
        self._kept = kept  # the library reads its arrays from now on
        given = SampleArrays() if kept is None else self._struct(kept)
        self._guard(ctypes.byref(given), 0 if kept is None else len(kept.targets))

    def save(self) -> bytes:
        """The saved file of what was learned, with the samples of a replay buffer behind it."""
        replay = self.model.replay
        samples = 0 if replay is None else replay.samples_bytes
        data = np.empty(self.model.saved_bytes + samples, np.uint8)
        function = self._function("library_save", ctypes.c_int)
        check(function(self._state, pointer(data), ctypes.c_size_t(data.size)))
        return data.tobytes()

    def load(self, data: bytes) -> None:
        """Go on from a saved file. Samples that it does not hold stay as they are.

        Raises:
            DataError: it is damaged, or of another model.
        """
        read_saved(data)
        given = np.frombuffer(data, np.uint8)
        function = self._function("library_load", ctypes.c_int)
        check(function(self._state, pointer(given), ctypes.c_size_t(given.size)))

    def weights_sha256(self) -> str:
        """Of all trained parameters, 64 hex digits; as `simulate` gives it."""
        return hashlib.sha256(read_saved(self.save()).weights).hexdigest()
