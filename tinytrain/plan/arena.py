"""Plans the arena of a scheduled graph: kernels, storages and their offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Value
from tinytrain.kernel.choose import Choice, choose_kernels
from tinytrain.kernel.work import work_of
from tinytrain.plan.channel_tiling import ChannelTiling
from tinytrain.plan.channel_tiling_kernels import choose_for_tiles
from tinytrain.plan.line_buffer import LineBufferedChain
from tinytrain.plan.liveness import ArenaStorage, storages
from tinytrain.plan.place import live_bytes, place
from tinytrain.plan.stripe_kernels import choose_for_stripes


@dataclass(frozen=True)
class Plan:
    """The nodes that a training step runs, and the place of every tensor in the arena.

    Attributes:
        graph: the nodes in the order in which they run, rematerialized ones included.
        offsets: of the values in the arena, in bytes. The offset of a value with a line buffer, or
            of one that is tiled, is that of its buffer or its tile.
        scratch: offset of the scratch of each node that has any, in bytes by node name, and of the
            sums of each channel tiling, by `ChannelTiling.sums_name`.
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
    """

    graph: Graph
    offsets: Mapping[Value, int]
    scratch: Mapping[str, int]
    nbytes: int
    lower_bound: int
    peak: int
    storages: tuple[ArenaStorage, ...]
    choices: Mapping[str, Choice]
    isa: str
    placement: str
    chains: tuple[LineBufferedChain, ...] = ()
    tilings: tuple[ChannelTiling, ...] = ()

    @property
    def gap(self) -> int:
        """Size of the arena beyond the lower bound, in bytes."""
        return self.nbytes - self.lower_bound

    @property
    def scratch_sizes(self) -> dict[str, int]:
        """Size of everything that `scratch` has an offset of, in bytes by the same names."""
        scratch = {name: choice.scratch for name, choice in self.choices.items() if choice.scratch}
        return scratch | {
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

    def at_peak(self) -> list[ArenaStorage]:
        """The storages that are live at the peak, the largest first."""
        live = [s for s in self.storages if s.first <= self.peak <= s.last]
        return sorted(live, key=lambda s: (-s.nbytes, s.name))


def plan_memory(
    graph: Graph,
    isa: str = "portable",
    limits: Mapping[str, int] | None = None,
    *,
    chains: Sequence[LineBufferedChain] = (),
    tilings: Sequence[ChannelTiling] = (),
) -> Plan:
    """Chooses the kernels and plans the arena of a scheduled graph.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        limits: the most scratch that a node may take, in bytes by node name; see `narrowed`.
        chains: line-buffered chains.
        tilings: runs that work on a tile of channels at a time.
    """
    choices = choices_for(graph, isa, limits, chains, tilings)
    items = storages(graph, choices, chains, tilings)
    live = live_bytes(items, range(max(len(graph.nodes), 1)))
    bound = max(live)
    placed = place(items, bound)
    return Plan(
        graph=graph,
        offsets={v: placed.offsets[k] for k, item in enumerate(items) for v in item.values},
        scratch={item.name: placed.offsets[k] for k, item in enumerate(items) if not item.values},
        nbytes=placed.nbytes,
        lower_bound=bound,
        peak=live.index(bound),
        storages=tuple(items),
        choices=choices,
        isa=isa,
        placement=str(placed),
        chains=tuple(chains),
        tilings=tuple(tilings),
    )


def choices_for(
    graph: Graph,
    isa: str,
    limits: Mapping[str, int] | None = None,
    chains: Sequence[LineBufferedChain] = (),
    tilings: Sequence[ChannelTiling] = (),
) -> dict[str, Choice]:
    """The kernel of each node that has a choice, by node name; arguments as for `plan_memory`."""
    choices = choose_kernels(graph, isa, limits)
    for chain in chains:
        nodes = graph.nodes[chain.first : chain.last + 1]
        choices |= choose_for_stripes(nodes, [work_of(graph, node) for node in nodes], chain, isa)
    for tiling in tilings:
        choices |= choose_for_tiles(graph, tiling, isa, limits)
    return choices


def outline(
    graph: Graph,
    isa: str,
    limits: Mapping[str, int] | None = None,
    *,
    chains: Sequence[LineBufferedChain] = (),
    tilings: Sequence[ChannelTiling] = (),
) -> tuple[int, int]:
    """Lower bound of the arena, in bytes, and instructions of a step; nothing is placed."""
    choices = choices_for(graph, isa, limits, chains, tilings)
    live = live_bytes(storages(graph, choices, chains, tilings), range(max(len(graph.nodes), 1)))
    return max(live), sum(choice.cost for choice in choices.values())
