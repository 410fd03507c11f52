"""What a device that follows drift can do beside all others."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytrain.data.given import given_inputs
from tinytrain.errors import UsageError
from tinytrain.simulation.device_calls import DeviceCalls
from tinytrain.simulation.library import HostLibrary


class FollowingCalls(DeviceCalls):
    """The part of a `Device` that is about drift."""

    def follow(self, x: Any, *, predict: bool = False) -> np.ndarray | None:
        """Follows drift over a sample, or over each of a batch in order; no label is needed.

        Args:
            x: as the class says.
            predict: whether to go on to the outputs.

        Returns:
            The outputs as `predict` gives them, each with its own sample taken in; None without.

        Raises:
            UsageError: nothing in the model follows drift.
            DataError: x does not fit the model; then nothing was taken in.
        """
        data, is_single = given_inputs(x, self._spec)
        found: list[np.ndarray] = []
        with self._running() as library:
            _check_follows(library)
            for chunk in data.chunks():
                outputs = library.follow(data.quantized(chunk), predict=predict)
                found += [] if outputs is None else [outputs]
        if not predict:
            return None
        outputs = self._spec.shaped_outputs(np.concatenate(found))
        return np.ascontiguousarray(outputs[0] if is_single else outputs)

    def follow_reset(self) -> None:
        """Back to the moments of training; what was trained stays.

        Raises:
            UsageError: nothing in the model follows drift.
        """
        with self._running() as library:
            _check_follows(library)
            library.follow_reset()


def _check_follows(library: HostLibrary) -> None:
    if library.model.follow is None:
        raise UsageError(
            f"nothing in the model '{library.model.name}' follows drift",
            help="compile it with follow='auto'",
        )
