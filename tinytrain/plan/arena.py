"""Plans the arena of a scheduled graph: kernels, storages, their offsets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tinytrain.ir.graph import Graph, Value
from tinytrain.kernel.choose import Choice, choose_kernels
from tinytrain.kernel.work import work_of
from tinytrain.plan.channel_tiling import Slices
from tinytrain.plan.channel_tiling_kernels import choose_for_slices
from tinytrain.plan.line_buffer import Stream
from tinytrain.plan.liveness import Storage, storages
from tinytrain.plan.place import live_bytes, place
from tinytrain.plan.stripe_kernels import choose_for_bands


@dataclass(frozen=True)
class Plan:
    """What a step runs, and where every tensor of it lies.

    Attributes:
        graph: the nodes in the order in which they run, those that run again included.
        offsets: of values in the arena, in bytes.
        scratch: offset of the scratch of a node, by node name, and of the sums of a run that works
            slice by slice, by the name of their storage.
        nbytes: size of the arena.
        lower_bound: the largest sum of live bytes over the schedule; no placement is smaller.
        peak: index of the node where that sum is reached.
        storages: what was placed.
        choices: the kernel of each node that has a choice, by node name.
        isa: the instruction set that they were chosen for.
        placement: what is proved of `nbytes` and what found it, such as "bound met (first fit)".
        streams: chains that run row by row.
        slices: runs that work on a slice of channels at a time.
    """

    graph: Graph
    offsets: Mapping[Value, int]
    scratch: Mapping[str, int]
    nbytes: int
    lower_bound: int
    peak: int
    storages: tuple[Storage, ...]
    choices: Mapping[str, Choice]
    isa: str
    placement: str
    streams: tuple[Stream, ...] = ()
    slices: tuple[Slices, ...] = ()

    @property
    def gap(self) -> int:
        """Bytes of the arena beyond the lower bound."""
        return self.nbytes - self.lower_bound

    @property
    def scratch_sizes(self) -> dict[str, int]:
        """Bytes of what `scratch` has offsets of, by the same names."""
        scratch = {name: choice.scratch for name, choice in self.choices.items() if choice.scratch}
        return scratch | {run.sums_name: run.sums for run in self.slices if run.sums_name}

    @property
    def cost(self) -> int:
        """Estimated instructions of the nodes that have a choice of kernels."""
        return sum(choice.cost for choice in self.choices.values())

    @property
    def kernels(self) -> dict[str, str]:
        """C functions by node name, of nodes that have a choice."""
        return {name: choice.kernel for name, choice in self.choices.items()}

    def at_peak(self) -> list[Storage]:
        """Storages that are live at the peak, largest first."""
        live = [s for s in self.storages if s.first <= self.peak <= s.last]
        return sorted(live, key=lambda s: (-s.nbytes, s.name))


def plan_memory(
    graph: Graph,
    isa: str = "portable",
    limits: Mapping[str, int] | None = None,
    *,
    streams: Sequence[Stream] = (),
    slices: Sequence[Slices] = (),
) -> Plan:
    """Chooses the kernels and plans the arena of a scheduled graph.

    Args:
        isa: the richest instruction set of the core, one of `isa.ISAS`.
        limits: see `choose_kernels`; `narrow.narrowed` finds them.
        streams: chains that run row by row.
        slices: runs that work on a slice of channels at a time.
    """
    choices = choices_for(graph, isa, limits, streams, slices)
    items = storages(graph, choices, streams, slices)
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
        streams=tuple(streams),
        slices=tuple(slices),
    )


def choices_for(
    graph: Graph,
    isa: str,
    limits: Mapping[str, int] | None = None,
    streams: Sequence[Stream] = (),
    slices: Sequence[Slices] = (),
) -> dict[str, Choice]:
    """The kernel of each node that has a choice, in whichever way it runs; as `plan_memory`."""
    choices = choose_kernels(graph, isa, limits)
    for chain in streams:
        nodes = graph.nodes[chain.first : chain.last + 1]
        choices |= choose_for_bands(nodes, [work_of(graph, node) for node in nodes], chain, isa)
    for run in slices:
        choices |= choose_for_slices(graph, run, isa, limits)
    return choices


def outline(
    graph: Graph,
    isa: str,
    limits: Mapping[str, int] | None = None,
    *,
    streams: Sequence[Stream] = (),
    slices: Sequence[Slices] = (),
) -> tuple[int, int]:
    """The lower bound of the arena, and the instructions of a step, without placing anything."""
    choices = choices_for(graph, isa, limits, streams, slices)
    live = live_bytes(storages(graph, choices, streams, slices), range(max(len(graph.nodes), 1)))
    return max(live), sum(choice.cost for choice in choices.values())
