"""A plan for the manifest: what lies in the arena, where and when, and what each layer takes.

All of it comes from `Plan.storages` and from the nodes, as not every tensor has a place of its full
size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.operations import loss_index
from tinytrain.manifest.arena import (
    PASSES,
    ArenaRecord,
    ChainRecord,
    KernelRecord,
    LayerRecord,
    OptimizationRecord,
    StepRecord,
    StorageRecord,
    TilingRecord,
)
from tinytrain.plan.chain import LineBufferedChain
from tinytrain.plan.place import ALIGNMENT, live_bytes
from tinytrain.plan.plan import Plan
from tinytrain.plan.storage import ArenaStorage
from tinytrain.plan.tiling import ChannelTiling

# The loss, and the rounding of its gradient to integers.
_LOSS_STEPS = 2


def arena_record(plan: Plan, optimizations: tuple[OptimizationRecord, ...] = ()) -> ArenaRecord:
    """The arena over one step.

    Args:
        optimizations: of the plan.
    """
    graph = plan.graph
    return ArenaRecord(
        nbytes=plan.nbytes,
        lower_bound=plan.lower_bound,
        placement=plan.placement,
        peak=graph.nodes[plan.peak].name,
        peak_step=plan.peak,
        alignment=ALIGNMENT,
        storages=storage_records(plan),
        steps=step_records(plan),
        optimizations=optimizations,
        chains=tuple(_chain(graph, chain) for chain in plan.chains),
        tilings=tuple(_tiling(graph, tiling) for tiling in plan.tilings),
        rematerialized=tuple(
            node.name for node in graph.nodes if node.name in graph.rematerialized
        ),
    )


def _chain(graph: Graph, chain: LineBufferedChain) -> ChainRecord:
    return ChainRecord(
        nodes=tuple(node.name for node in graph.nodes[chain.first : chain.last + 1]),
        source=chain.source.name,
        rows=chain.rows_per_step,
        turns=chain.steps,
        buffers={buffer.value.name: buffer.nbytes for buffer in chain.buffers},
    )


def _tiling(graph: Graph, tiling: ChannelTiling) -> TilingRecord:
    return TilingRecord(
        nodes=tuple(node.name for node in tiling.nodes(graph)),
        channels=tiling.channels,
        slices=tiling.count,
        sums=tiling.sums,
    )


def storage_records(plan: Plan) -> tuple[StorageRecord, ...]:
    """Each storage with its offset, its lifetime, its kind and the layer that first writes it."""
    graph = plan.graph
    writers = {value: node.layer for node in graph.nodes for value in node.outputs}
    nodes = {node.name: node.layer for node in graph.nodes}
    nodes |= {
        tiling.sums_name: writers[tiling.total]
        for tiling in plan.tilings
        if tiling.total and tiling.sums_name
    }
    kinds = _Kinds(graph, plan)
    return tuple(
        StorageRecord(
            name=storage.name,
            kind=kinds.of(storage),
            layer=writers.get(storage.values[0], "") if storage.values else nodes[storage.name],
            nbytes=storage.nbytes,
            offset=plan.offset_of(storage),
            first=storage.first,
            last=storage.last,
        )
        for storage in plan.storages
    )


def step_records(plan: Plan) -> tuple[StepRecord, ...]:
    """Each node in the order of execution.

    `live_bytes` counts as the planner does, in whole units of the alignment: the largest is the
    lower bound.
    """
    graph = plan.graph
    live = live_bytes(plan.storages, range(len(graph.nodes)))
    loss = loss_index(graph)
    return tuple(
        StepRecord(
            name=node.name,
            op=node.op,
            layer=node.layer,
            part=PASSES[(index >= loss) + (index >= loss + _LOSS_STEPS)],
            live_bytes=live[index],
            instructions=choice.cost if (choice := plan.choices.get(node.name)) else None,
        )
        for index, node in enumerate(graph.nodes)
    )


def kernel_records(plan: Plan) -> tuple[KernelRecord, ...]:
    """The kernel of each node that has a choice."""
    return tuple(
        KernelRecord(
            node=node.name,
            kernel=choice.kernel,
            instructions=choice.cost,
            scratch=choice.workspace,
            considered=dict(choice.considered),
        )
        for node in plan.graph.nodes
        if (choice := plan.choices.get(node.name))
    )


def layer_records(
    graph: Graph, arena: ArenaRecord, constants: Mapping[str, int]
) -> tuple[LayerRecord, ...]:
    """What each layer takes, in the order of the forward pass, without layers that take nothing.

    Args:
        arena: from `arena_record`.
        constants: bytes of the arrays in flash by layer, from emission.
    """
    keys = ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
    # Forward first: a gradient may serve a layer before others of the same layer come.
    found = {node.layer: dict.fromkeys(keys, 0) for node in graph.nodes if node.layer}

    def add(layer: str, key: str, amount: int) -> None:
        if layer in found:
            found[layer][key] += amount

    for value, layer in _first_readers(graph.nodes, graph.parameters):
        add(layer, "trained_bytes", graph.parameters[value].nbytes)
    for storage in arena.storages:
        if storage.kind == "saved":
            add(storage.layer, "saved_bytes", storage.nbytes)
    for layer, nbytes in constants.items():
        add(layer, "constant_bytes", nbytes)
    for step in arena.steps:
        add(step.layer, "instructions", step.instructions or 0)
    return tuple(
        LayerRecord(name=layer, **sums) for layer, sums in found.items() if any(sums.values())
    )


def _first_readers(
    nodes: Iterable[Node], wanted: Mapping[Value, object]
) -> Iterable[tuple[Value, str]]:
    """Each wanted value that is read, and the layer of its first reader."""
    seen: set[Value] = set()
    for node in nodes:
        for value in node.inputs:
            if value in wanted and value not in seen:
                seen.add(value)
                yield value, node.layer


class _Kinds:
    """Finds the kind of a storage from the values that it holds."""

    def __init__(self, graph: Graph, plan: Plan) -> None:
        self._sums = {tiling.sums_name for tiling in plan.tilings}
        self._inputs = set(graph.inputs)
        self._loss = loss_index(graph)
        self._last = last_use(graph)
        self._forward = {
            value for node in graph.nodes[: self._loss] for value in node.outputs
        } | self._inputs
        originals = graph.rematerialized
        self._rematerialized = {
            value for node in graph.nodes if node.name in originals for value in node.outputs
        }

    def of(self, storage: ArenaStorage) -> str:
        """One of `manifest.arena.KINDS`."""
        if not storage.values:
            return "gradient" if storage.name in self._sums else "scratch"
        if storage.values[0] in self._inputs:
            return "input"
        forward = [value for value in storage.values if value in self._forward]
        if any(self._last[value] > self._loss for value in forward):
            return "saved"
        if forward or storage.values[0] in self._rematerialized:
            return "activation"
        return "gradient"
