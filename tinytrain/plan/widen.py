"""Plans where storages are placed with the least workspace first, which then takes what is free.

The fastest kernels that a limit allows fill the arena at nearly every node, and what is full is
hard to place: gaps remain. With the least workspace everywhere there is room to place, and most of
what that costs comes back: at its node a workspace may take the largest hole that others leave.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tinytrain.ir.graph import Graph
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.arena import choices_for, plan_memory
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.holes import holes
from tinytrain.plan.liveness import storages
from tinytrain.plan.narrow import NodeNeeds
from tinytrain.plan.place import live_bytes
from tinytrain.plan.plan import Plan
from tinytrain.plan.tiling import ChannelTiling


def placed_then_widened(
    graph: Graph,
    isa: str,
    limits: Mapping[str, int],
    start: int,
    *,
    chains: Sequence[LineBufferedChain] = (),
    tilings: Sequence[ChannelTiling] = (),
) -> tuple[Plan, dict[str, int]]:
    """A plan whose gaps are few, and the limits of workspace that it came to.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        limits: of the workspace of nodes in the stem, in bytes by node name.
        start: index of the first node behind the stem.
        chains, tilings: as for `plan_memory`.
    """
    needs = NodeNeeds(graph, isa, choose_kernels(graph, isa), tilings)
    tight = {**limits, **needs.least_limits(range(start, len(graph.nodes)))}
    plan = plan_memory(graph, isa, tight, chains=chains, tilings=tilings)
    wide = dict(tight)
    for index in range(start, len(graph.nodes)):
        name = graph.nodes[index].name
        if name in tight:
            wide[name] = max(tight[name], _largest_hole(plan, index)[1])
    choices = choices_for(graph, isa, wide, chains, tilings)
    for name, choice in plan.choices.items():
        # Another kernel may not reuse the storage that the placement counts on.
        if name in choices and choices[name].in_place != choice.in_place:
            wide[name] = tight[name]
    return _with_limits(plan, wide, start), wide


def _with_limits(plan: Plan, limits: Mapping[str, int], start: int) -> Plan:
    """The same places of all values, with workspaces in the largest holes."""
    graph = plan.graph
    choices = choices_for(graph, plan.isa, limits, plan.chains, plan.tilings)
    items = storages(graph, choices, plan.chains, plan.tilings)
    places = dict(plan.workspaces)
    for index in range(start, len(graph.nodes)):
        name = graph.nodes[index].name
        if name in choices and choices[name].workspace != plan.choices[name].workspace:
            places[name] = _largest_hole(plan, index)[0]
    live = live_bytes(items, range(max(len(graph.nodes), 1)))
    bound = max(live)
    return replace(
        plan,
        workspaces=places,
        lower_bound=bound,
        peak=live.index(bound),
        storages=tuple(items),
        choices=choices,
    )


def _largest_hole(plan: Plan, index: int) -> tuple[int, int]:
    """Offset and bytes of the largest hole that others leave at a node."""
    free = holes(plan, index, without=plan.graph.nodes[index].name)
    return max(free, key=lambda hole: (hole[1], -hole[0]), default=(0, 0))
