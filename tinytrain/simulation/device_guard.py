"""What a device with a guard can do beside all others."""

from __future__ import annotations

import warnings
from typing import Any

from tinytrain.data.given import given_samples
from tinytrain.errors import UsageError
from tinytrain.simulation.device_calls import DeviceCalls
from tinytrain.simulation.device_result import library_samples
from tinytrain.simulation.guard import GuardCheck
from tinytrain.simulation.library import HostLibrary
from tinytrain.simulation.stream import FEW_KEPT, few_kept


class GuardCalls(DeviceCalls):
    """The part of a `Device` that is about its guard, which is asked before each step."""

    def keep_apart(self, x: Any, y: Any = None) -> None:
        """Gives the guard samples to look at, in place of those that it had; no step learns from
        them. The next check counts as the first. Of few samples a Python warning says so.

        Args:
            x, y: as for `train_step`.

        Raises:
            DataError: x or y do not fit the model.
            UsageError: the model has no guard.
        """
        data = given_samples(x, y, self._spec)
        with self._running() as library:
            _check_guard(library)
            library.reset_guard()
            library.guard(library_samples(data, slice(None)))
        if len(data) < FEW_KEPT:
            warnings.warn(few_kept(len(data)), stacklevel=2)

    def finish(self) -> None:
        """A last check of the guard: a state that is not good enough to be saved is undone.

        Raises:
            UsageError: the model has no guard.
        """
        with self._running() as library:
            _check_guard(library)
            library.finish()

    def guard_checks(self) -> tuple[GuardCheck, ...]:
        """What the guard has done since `keep_apart`.

        Raises:
            UsageError: the model has no guard.
        """
        with self._running() as library:
            _check_guard(library)
            return library.guard_checks()


def _check_guard(library: HostLibrary) -> None:
    if library.model.guard is None:
        raise UsageError("the model has no guard", help="compile it with guard=128")
