"""How the nodes of a step are cut into parts: what `portions` decides, and `proof` checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import ceil


@dataclass(frozen=True)
class NodeCut:
    """How a node of a step is cut.

    Attributes:
        kind: what a part is a range of: "whole", or one of `portion_cuts`; "steps" of a
            line-buffered chain, "tiles" of a channel tiling.
        extents: how many positions, rows, elements or channels there are; two numbers for a layer
            whose weights lie in two parts.
        size: of them in a part; the last part of an extent may be smaller.
        cost: instructions of the largest part, estimated.
        copy: offset in the arena of the part's channels, where they have to lie apart from others;
            None where they need not.
        copy_bytes: of that.
    """

    kind: str
    extents: tuple[int, ...]
    size: int
    cost: int
    copy: int | None = None
    copy_bytes: int = 0

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return sum(ceil(extent / self.size) for extent in self.extents)

    @property
    def instructions(self) -> int:
        """Of all parts."""
        return self.cost * self.parts


@dataclass(frozen=True)
class Portions:
    """A step in portions.

    Attributes:
        cuts: by the name of a node, or of the first one of a chain or a tiling; what is not named
            runs within those.
    """

    cuts: Mapping[str, NodeCut] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Portions of a step."""
        return sum(cut.parts for cut in self.cuts.values())

    @property
    def instructions(self) -> int:
        """Of a step."""
        return sum(cut.instructions for cut in self.cuts.values())

    @property
    def listed(self) -> int:
        """Channels of the widest depthwise layer that is cut."""
        cuts = [cut for cut in self.cuts.values() if cut.kind == "channels"]
        return max((max(cut.extents) for cut in cuts), default=0)
