"""A storage: bytes of the arena and the nodes from which to which they are live."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Value


@dataclass(frozen=True)
class ArenaStorage:
    """Bytes of the arena that are live from node `first` to node `last`, both included.

    Attributes:
        name: of its first value; of its node for workspace; `ChannelTiling.sums_name` for sums.
        values: that lie there one after another: a reshape is the same bytes with another shape, an
            operation with in-place reuse overwrites its input. Empty for workspace and for sums. A
            line buffer has one value and holds a few rows of it.
        nbytes: size, in bytes.
        first, last: indices of nodes in the schedule.
    """

    name: str
    values: tuple[Value, ...]
    nbytes: int
    first: int
    last: int
