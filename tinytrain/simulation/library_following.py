"""What follows drift of a model in a shared library."""

from __future__ import annotations

import ctypes

import numpy as np

from tinytrain.simulation.library_calls import LibraryCalls, check, pointer


class FollowingLibrary(LibraryCalls):
    """Calls for a model in which something follows drift."""

    def follow(self, inputs: np.ndarray, *, predict: bool = False) -> np.ndarray | None:
        """Follows drift over samples, in their order.

        Args:
            inputs: int8 [N, ...], contiguous.
            predict: whether to go on to the outputs.

        Returns:
            The outputs, float32 [N, outputs], each with its own sample taken in; None without.
        """
        assert self.model.follow is not None, "nothing follows drift"
        assert inputs.dtype == np.int8 and inputs.flags.c_contiguous
        assert inputs.size == len(inputs) * self.model.input_size
        outputs = np.empty((len(inputs), self.model.output_size), np.float32) if predict else None
        function = self._function("library_follow", ctypes.c_int)
        count = ctypes.c_size_t(len(inputs))
        check(function(self._state, count, pointer(inputs), pointer(outputs)))
        return outputs

    def follow_reset(self) -> None:
        """Back to the moments of training; nothing that was trained changes."""
        self._function("library_follow_reset", None)(self._state)
