"""The arena while a plan is run for its proof: every byte knows whose content it holds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Value
from tinytrain.plan.plan import Plan

_NOBODY = 0


class ArenaBytes:
    """The bytes of the arena of a plan, and the places that the plan gives to values and workspace.

    A content is named by a key: any hashable object, equal for the same content only. Keys are
    interned, so no two contents can be taken for each other.
    """

    def __init__(self, plan: Plan) -> None:
        self._offsets = plan.offsets
        self._workspaces, self._sizes = plan.workspaces, plan.workspace_sizes
        self._owners = np.full(plan.nbytes, _NOBODY, dtype=np.int64)
        self._numbers: dict[Hashable, int] = {}

    def area(self, value: Value, start: int = 0, nbytes: int | None = None) -> range:
        """The bytes of a value: `nbytes` of them, or all, from `start` on.

        Raises:
            InternalError: some of them lie outside the arena.
        """
        size = value.type.nbytes if nbytes is None else nbytes
        return self._inside(str(value), self._offsets[value] + start, size)

    def workspace(self, name: str, least: int = 0) -> range:
        """The bytes of the workspace of a node, or of the sums of a tiling; empty if it has none.

        Args:
            least: bytes that it must have.

        Raises:
            InternalError: it is smaller, or has no place, or lies outside the arena.
        """
        size = self._sizes.get(name, 0)
        if size < least:
            raise InternalError(f"{name} takes {least} bytes of workspace and has {size}")
        if size and name not in self._workspaces:
            raise InternalError(f"the workspace of {name} has no place")
        return self._inside(f"the workspace of {name}", self._workspaces.get(name, 0), size)

    def _inside(self, name: str, start: int, nbytes: int) -> range:
        if start < 0 or start + nbytes > len(self._owners):
            raise InternalError(
                f"{name} at {start} lies outside the arena of {len(self._owners)} bytes"
            )
        return range(start, start + nbytes)

    def fill(self, area: range, key: Hashable) -> None:
        """Makes a content the owner of an area."""
        number = self._numbers.setdefault(key, _NOBODY + 1 + len(self._numbers))
        self._owners[area.start : area.stop] = number

    def clear(self, area: range) -> None:
        """Leaves an area without an owner, as a workspace is."""
        self._owners[area.start : area.stop] = _NOBODY

    def keep(self, spans: Sequence[tuple[int, int]]) -> None:
        """Leaves all bytes without an owner but those of some (offset, bytes).

        Raises:
            InternalError: some of them lie outside the arena.
        """
        areas = [self._inside("what is kept", start, size) for start, size in spans]
        owners = self._owners
        self._owners = np.full_like(owners, _NOBODY)
        for area in areas:
            self._owners[area.start : area.stop] = owners[area.start : area.stop]

    def move(self, source: range, target: range) -> None:
        """Copies an area to another one of the same size; the two may overlap."""
        self._owners[target.start : target.stop] = self._owners[source.start : source.stop].copy()

    def holds(self, area: range, key: Hashable) -> bool:
        """Whether all bytes of an area belong to a content."""
        number = self._numbers.get(key)
        owners = self._owners[area.start : area.stop]
        return number is not None and bool((owners == number).all())


def meet(a: range, b: range) -> bool:
    """Whether two areas share a byte."""
    return a.start < b.stop and b.start < a.stop
