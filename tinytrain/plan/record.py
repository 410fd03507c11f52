"""A plan for the manifest: what lies in the arena, where and when, and what each layer takes.

All of it comes from `Plan.storages` and from the nodes, as not every tensor has a place of its full
size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tinytrain.ir.graph import Graph, Node, Value, last_use
from tinytrain.ir.operations import loss_index
from tinytrain.plan.place import ALIGNMENT, live_bytes
from tinytrain.plan.plan import Plan
from tinytrain.plan.storage import ArenaStorage

KINDS = ("input", "activation", "saved", "gradient", "scratch")
"""What a storage holds. `saved` is what the forward pass leaves for the backward pass: activations,
masks of one bit per element, winners of a pooling. A rematerialized value is an `activation`."""

PASSES = ("forward", "loss", "backward")
"""Parts of a step, in order; updates belong to the backward pass."""

# The loss, and the rounding of its gradient to integers.
_LOSS_STEPS = 2


def arena_record(graph: Graph, plan: Plan) -> dict[str, Any]:
    """The arena of a scheduled graph over one step.

    `first` and `last` of a storage are indices into `steps`, both included. `live_bytes` of a step
    counts as the planner does, in whole units of the alignment: the largest is `lower_bound`.
    """
    return {
        "bytes": plan.nbytes,
        "lower_bound": plan.lower_bound,
        "placement": plan.placement,
        "peak": graph.nodes[plan.peak].name,
        "peak_step": plan.peak,
        "alignment": ALIGNMENT,
        "storages": storages_record(graph, plan),
        "steps": steps_record(graph, plan),
    }


def storages_record(graph: Graph, plan: Plan) -> list[dict[str, Any]]:
    """Each storage with its offset, its lifetime, its kind and the layer that first writes it."""
    writers = {value: node.layer for node in graph.nodes for value in node.outputs}
    nodes = {node.name: node.layer for node in graph.nodes}
    nodes |= {
        tiling.sums_name: writers[tiling.total]
        for tiling in plan.tilings
        if tiling.total and tiling.sums_name
    }
    kinds = _Kinds(graph, plan)
    return [
        {
            "name": storage.name,
            "kind": kinds.of(storage),
            "layer": writers.get(storage.values[0], "") if storage.values else nodes[storage.name],
            "bytes": storage.nbytes,
            "offset": _offset(plan, storage),
            "first": storage.first,
            "last": storage.last,
        }
        for storage in plan.storages
    ]


def steps_record(graph: Graph, plan: Plan) -> list[dict[str, Any]]:
    """Each node in the order of execution; `instructions` is None where there is no estimate."""
    live = live_bytes(plan.storages, range(len(graph.nodes)))
    loss = loss_index(graph)
    return [
        {
            "name": node.name,
            "op": node.op,
            "layer": node.layer,
            "pass": PASSES[(index >= loss) + (index >= loss + _LOSS_STEPS)],
            "live_bytes": live[index],
            "instructions": choice.cost if (choice := plan.choices.get(node.name)) else None,
        }
        for index, node in enumerate(graph.nodes)
    ]


def layers_record(
    graph: Graph, arena: Mapping[str, Any], constants: Mapping[str, int]
) -> list[dict[str, Any]]:
    """What each layer takes, in the order of the forward pass, without layers that take nothing.

    Args:
        arena: from `arena_record`.
        constants: bytes of the arrays in flash by layer, from emission.

    Returns:
        For each layer `trained_bytes` and `saved_bytes` of RAM, `constant_bytes` of flash, and the
        `instructions` of all its nodes.
    """
    keys = ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
    # Forward first: a gradient may serve a layer before others of the same layer come.
    found = {node.layer: dict.fromkeys(keys, 0) for node in graph.nodes if node.layer}

    def add(layer: str, key: str, amount: int) -> None:
        if layer in found:
            found[layer][key] += amount

    for value, layer in _first_readers(graph.nodes, graph.parameters):
        add(layer, "trained_bytes", graph.parameters[value].nbytes)
    for storage in arena["storages"]:
        if storage["kind"] == "saved":
            add(storage["layer"], "saved_bytes", storage["bytes"])
    for layer, nbytes in constants.items():
        add(layer, "constant_bytes", nbytes)
    for step in arena["steps"]:
        add(step["layer"], "instructions", step["instructions"] or 0)
    return [{"name": layer, **sums} for layer, sums in found.items() if any(sums.values())]


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


def _offset(plan: Plan, storage: ArenaStorage) -> int:
    return plan.offsets[storage.values[0]] if storage.values else plan.scratch[storage.name]


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
        """One of `KINDS`."""
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
