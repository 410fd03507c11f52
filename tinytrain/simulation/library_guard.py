"""The guard of a model in a shared library, with a store in the memory of the session."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import numpy as np

from tinytrain.reference.guard import ACTIONS, REASONS
from tinytrain.simulation.guard import GuardCheck
from tinytrain.simulation.library_calls import LibraryCalls, check, pointer

GUARD_EVENTS = 100_000
"""Checks of a guard that are recorded."""

GUARD_EVENT = np.dtype(
    [(name, np.uint32) for name in ("step", "action", "reason", "is_unlike")]
    + [(name, np.float32) for name in ("kept", "best", "stream", "factor")]
)


class GuardLibrary(LibraryCalls):
    """Calls for a model that has a guard."""

    _events = np.zeros(0, GUARD_EVENT)

    def finish(self) -> None:
        """A last check of the guard, which undoes a state that is not good enough to be saved."""
        check(self._function("library_check", ctypes.c_int)(self._state, ctypes.c_int(1)))

    def reset_guard(self) -> None:
        """The guard forgets what it knows."""
        self._function("guard_reset", None)(self._state)

    def guard_checks(self) -> tuple[GuardCheck, ...]:
        """The checks since `guard`, the first of them if there are more than `GUARD_EVENTS`."""
        count = self._function("library_guard_events", ctypes.c_size_t)(self._state)
        return tuple(
            GuardCheck(
                int(event["step"]),
                ACTIONS[event["action"]],
                REASONS[event["reason"]],
                float(event["kept"]),
                float(event["best"]),
                float(event["stream"]),
                float(event["factor"]),
                is_unlike=bool(event["is_unlike"]),
            )
            for event in self._events[:count]
        )

    def _guard(self, kept: object, count: int) -> None:
        """The samples that the guard looks at, whose arrays have to stay; forgets its checks."""
        assert self.model.guard is not None, "the model has no guard"
        self._events = np.zeros(GUARD_EVENTS, GUARD_EVENT)
        function: Callable[..., int] = self._function("library_guard", None)
        function(
            self._state,
            kept,
            ctypes.c_size_t(count),
            pointer(self._events),
            ctypes.c_size_t(self._events.size),
        )
