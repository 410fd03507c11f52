"""What a device with a rehearsal set, or a replay buffer to fill, can do beside all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytrain.data.given import given_samples
from tinytrain.errors import UsageError
from tinytrain.manifest.interface import ModelInterface
from tinytrain.simulation.device_calls import DeviceCalls
from tinytrain.simulation.device_result import RehearsalResult, StepResult, library_samples
from tinytrain.simulation.library import HostLibrary


class RehearsalCalls(DeviceCalls):
    """The part of a `Device` that is about its rehearsal set."""

    def rehearse(self, steps: int = 1) -> StepResult:
        """So many steps on samples of the rehearsal set, as `NAME_rehearse_step` makes them.

        Returns:
            loss and prediction of each before its update.

        Raises:
            UsageError: the model has no rehearsal set, or `steps` is below 1.
        """
        if steps < 1:
            raise UsageError(f"steps must be at least 1, got {steps}")
        with self._running() as library:
            _check_set(library)
            losses, predictions = library.rehearse(steps)
            return StepResult(losses, predictions if library.model.classes else predictions[:0])

    def evaluate_rehearsal(self) -> RehearsalResult:
        """How well the model does on its rehearsal set, by `NAME_evaluate_rehearsal`; nothing is
        learned.

        Raises:
            UsageError: the model has no rehearsal set.
        """
        with self._running() as library:
            held = _check_set(library)
            correct, loss, recall = library.evaluate_rehearsal()
        found = tuple(None if share < 0 else float(share) for share in np.asarray(recall))
        return RehearsalResult(loss, correct / held if found else None, found)

    def remember(self, x: Any, y: Any = None) -> None:
        """Offers samples to the replay buffer, such as ones of before; nothing is learned.

        Args:
            x, y: a sample or a batch, as for `train_step`.

        Raises:
            UsageError: the model has no replay buffer.
            DataError: x or y do not fit the model; then nothing was remembered.
        """
        data = given_samples(x, y, self._spec)
        with self._running() as library:
            if library.model.replay is None:
                raise UsageError(
                    "the model has no replay buffer", help="compile it with replay=SLOTS"
                )
            for chunk in data.chunks():
                library.remember(library_samples(data, chunk))


def steps_behind(model: ModelInterface) -> dict[str, int]:
    """How many steps on samples of before follow each new one, for `HostLibrary.train`."""
    return {
        "replay_steps": 1 if model.replay else 0,
        "rehearsal_steps": 1 if model.rehearsal else 0,
    }


def _check_set(library: HostLibrary) -> int:
    """Its samples."""
    if library.model.rehearsal is None:
        raise UsageError(
            "the model has no rehearsal set",
            help="compile it with rehearse='FILE.npz', labelled samples of before",
        )
    return library.model.rehearsal.slots
