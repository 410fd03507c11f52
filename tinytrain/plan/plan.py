"""A plan: the nodes that a training step runs, and where everything lies in its arena."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Value
from tinytrain.kernel.choose import Choice
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.storage import ArenaStorage
from tinytrain.plan.tiling import ChannelTiling


@dataclass(frozen=True)
class Plan:
    """The nodes that a training step runs, and the place of every tensor in the arena.

    Attributes:
        graph: the nodes in the order in which they run, rematerialized ones included.
        offsets: of the values in the arena, in bytes. The offset of a value with a line buffer, or
            of one that is tiled, is that of its buffer or its tile.
        workspaces: offset of the workspace of each node that has any, in bytes by node name, and of
            the sums of each channel tiling, by `ChannelTiling.sums_name`.
        nbytes: size of the arena, in bytes.
        lower_bound: the largest sum of live bytes over the schedule: no arena is smaller, in bytes.
        peak: index of the node where that sum is reached.
        storages: everything that was placed.
        choices: the kernel of each node that has a choice, by node name.
        isa: the instruction set that they were chosen for.
        placement: what is proved of `nbytes`, and which method found it, such as
            "bound met (first fit)".
        chains: line-buffered chains.
        tilings: runs of backward nodes that work on a tile of channels at a time.
        unfinished: the memory optimizations whose search ended at its limit of work, by name.
    """

    graph: Graph
    offsets: Mapping[Value, int]
    workspaces: Mapping[str, int]
    nbytes: int
    lower_bound: int
    peak: int
    storages: tuple[ArenaStorage, ...]
    choices: Mapping[str, Choice]
    isa: str
    placement: str
    chains: tuple[LineBufferedChain, ...] = ()
    tilings: tuple[ChannelTiling, ...] = ()
    unfinished: tuple[str, ...] = ()

    @property
    def gap(self) -> int:
        """Size of the arena beyond the lower bound, in bytes."""
        return self.nbytes - self.lower_bound

    @property
    def workspace_sizes(self) -> dict[str, int]:
        """Size of everything that `workspaces` has an offset of, in bytes by the same names."""
        sizes = {name: each.workspace for name, each in self.choices.items() if each.workspace}
        return sizes | {
            tiling.sums_name: tiling.sums for tiling in self.tilings if tiling.sums_name
        }

    @property
    def cost(self) -> int:
        """Estimated instructions of a step: of all nodes that have a choice of kernels."""
        return sum(choice.cost for choice in self.choices.values())

    @property
    def kernels(self) -> dict[str, str]:
        """The C function of each node that has a choice, by node name."""
        return {name: choice.kernel for name, choice in self.choices.items()}

    def offset_of(self, storage: ArenaStorage) -> int:
        """Where a storage lies."""
        if storage.values:
            return self.offsets[storage.values[0]]
        return self.workspaces[storage.name]

    def at_peak(self) -> list[ArenaStorage]:
        """The storages that are live at the peak, the largest first."""
        live = [s for s in self.storages if s.first <= self.peak <= s.last]
        return sorted(live, key=lambda s: (-s.nbytes, s.name))
