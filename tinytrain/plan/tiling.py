"""A channel tiling: a run of backward nodes, and the tiles of channels that it works on."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Node, Value


@dataclass(frozen=True)
class ChannelTiling:
    """A run of backward nodes of a scheduled graph, and the tiles that it is divided into.

    Attributes:
        first, last: indices of its first and its last node in the schedule.
        channels: of the wide map.
        count: tiles, all of one size.
        wide: gradients of which one tile exists at a time.
        total: the narrow gradient to whose sums each tile adds; None if nothing needs it.
        deferred: names of nodes in between that run after the loop.
    """

    first: int
    last: int
    channels: int
    count: int
    wide: tuple[Value, ...]
    total: Value | None
    deferred: tuple[str, ...]

    @property
    def size(self) -> int:
        """Channels of a tile."""
        return self.channels // self.count

    @property
    def sums(self) -> int:
        """Size of the sums of `total`, in bytes."""
        return 0 if self.total is None else 4 * self.total.type.size

    @property
    def sums_name(self) -> str | None:
        """Name of the storage of the sums; None without sums."""
        return None if self.total is None else f"{self.total.name}_sums"

    def nodes(self, graph: Graph) -> tuple[Node, ...]:
        """The nodes that run once per tile."""
        run = graph.nodes[self.first : self.last + 1]
        return tuple(node for node in run if node.name not in self.deferred)

    def is_total(self, node: Node) -> bool:
        """Whether a node adds to the sums of `total`."""
        return self.total is not None and node.outputs[0] == self.total

    def nbytes(self, value: Value) -> int:
        """Size of a tile of a wide gradient, in bytes."""
        return value.type.nbytes // self.count
