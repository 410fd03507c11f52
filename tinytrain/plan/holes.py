"""The holes of an arena: what no storage takes while a node runs."""

from __future__ import annotations

from collections.abc import Iterator

from tinytrain.plan.place import aligned
from tinytrain.plan.plan import Plan


def holes(plan: Plan, index: int, *, without: str = "") -> Iterator[tuple[int, int]]:
    """Offset and bytes of each hole while a node runs, from the start of the arena on.

    Args:
        index: of the node.
        without: name of a node whose workspace counts as free.
    """
    lying = sorted(
        (plan.offset_of(storage), storage.nbytes)
        for storage in plan.storages
        if storage.first <= index <= storage.last and (storage.values or storage.name != without)
    )
    end = 0
    for offset, nbytes in lying:
        if offset > end:
            yield end, offset - end
        end = max(end, aligned(offset + nbytes))
    if plan.nbytes > end:
        yield end, plan.nbytes - end
