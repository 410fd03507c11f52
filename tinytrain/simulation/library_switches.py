"""A library of the largest scheme in which a session says what trains."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tinytrain.simulation.library import HostLibrary
from tinytrain.simulation.library_calls import pointer


@dataclass(frozen=True, eq=False)
class UpdateConstants:
    """What a scheme says of an update; see `codegen/switches.h.j2`.

    Attributes:
        index: the place among the updates of the scheme.
        multiplier, shift: int32 and int8 [O], for integer gradients.
        real: float32 [O], for f32 gradients and for Adam; [1] for a bias with Adam.
        inverse: one over the elements that share a second moment, for Adam.
    """

    index: int
    multiplier: np.ndarray | None = None
    shift: np.ndarray | None = None
    real: np.ndarray | None = None
    inverse: float = 0.0


@dataclass(frozen=True, eq=False)
class SwitchSetting:
    """What of a step runs.

    Attributes:
        runs: uint8 [nodes of the step], 1 for those that run; only what may be left out is read.
        updates: by the place of an update in the step, of those that run.
        chosen: by the place of a parameter that trains in part, a mask of its bits that train, of
            as many bytes as the parameter has.
        held: for each of these what the other bits stay at.
        frozen: nodes at the beginning of the step that nothing trained comes before.
        spans: of what later nodes read of theirs, (offset, bytes) in the arena.
    """

    runs: np.ndarray
    updates: Mapping[int, UpdateConstants]
    chosen: Mapping[int, np.ndarray] = field(default_factory=dict)
    held: Mapping[int, np.ndarray] = field(default_factory=dict)
    frozen: int = 0
    spans: Sequence[tuple[int, int]] = ()


class _Update(ctypes.Structure):
    _fields_ = (
        ("multiplier", ctypes.c_void_p),
        ("shift", ctypes.c_void_p),
        ("real", ctypes.c_void_p),
        ("inverse", ctypes.c_float),
        ("index", ctypes.c_uint32),
    )


class _Switches(ctypes.Structure):
    _fields_ = (
        ("runs", ctypes.c_void_p),
        ("updates", ctypes.c_void_p),
        ("chosen", ctypes.c_void_p),
        ("held", ctypes.c_void_p),
        ("spans", ctypes.c_void_p),
        *((name, ctypes.c_uint32) for name in ("span_count", "frozen", "begin", "end")),
    )


class SwitchedLibrary(HostLibrary):
    """A library of what was emitted with `switched`; `switch` comes before the first step.

    Which layers are frozen, and so what `frozen` gives, is another thing after each `switch`.
    """

    def switch(self, setting: SwitchSetting, updates: int, parameters: int) -> None:
        """What runs from now on; the state stays as it is.

        Args:
            updates, parameters: how many the step has.
        """
        table = (_Update * updates)()
        for place, of in setting.updates.items():
            arrays = [pointer(array) for array in (of.multiplier, of.shift, of.real)]
            table[place] = _Update(*arrays, of.inverse, of.index)
        chosen = _addresses(setting.chosen, parameters)
        held = _addresses(setting.held, parameters)
        # The library reads all of it in every step.
        spans = np.array(setting.spans, np.uint32).ravel()
        self._given: Sequence[object] = (setting, table, chosen, held, spans)
        self.model = replace(self.model, frozen_bytes=sum(size for _, size in setting.spans))
        given = _Switches(
            *(pointer(setting.runs), ctypes.addressof(table), pointer(chosen), pointer(held)),
            *(pointer(spans), len(setting.spans), setting.frozen, 0, 2**32 - 1),
        )
        self._function("switch", None)(self._state, ctypes.byref(given))


def _addresses(arrays: Mapping[int, np.ndarray], count: int) -> np.ndarray:
    found = np.zeros(count, np.uintp)
    for place, array in arrays.items():
        assert array.dtype == np.uint8 and array.flags.c_contiguous
        found[place] = array.ctypes.data
    return found
