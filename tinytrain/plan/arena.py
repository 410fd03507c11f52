"""Plans the arena of a scheduled graph: kernels, storages and their offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import Choice, choose_kernels
from tinytrain.kernel.nodes import work_of
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.channel_tiling_kernels import choose_for_tiles
from tinytrain.plan.liveness import storages
from tinytrain.plan.place import live_bytes, place
from tinytrain.plan.plan import Plan
from tinytrain.plan.stripe_kernels import choose_for_stripes
from tinytrain.plan.tiling import ChannelTiling


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
        limits: the most workspace that a node may take, in bytes by node name; see `narrowed`.
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
        workspaces={
            item.name: placed.offsets[k] for k, item in enumerate(items) if not item.values
        },
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
