"""Puts nodes in the order in which the device runs them.

The order of the graph is kept, but what frees memory runs as soon as it can: an update once its
gradient exists and the last reader of the old parameter has run, a mask or a cut of an activation
once the activation exists. Where another order of the forward nodes, or of the backward nodes,
needs less memory, it is taken.

Every order gives the same bits. Nodes only compute their outputs from their inputs, with two
exceptions: an update overwrites its parameter, so its readers stay before it; and random numbers of
stochastic rounding come from a generator for each update that begins from the update's place among
all of them (docs/arithmetic.md section 6), so their order among each other stays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops_training import LOSS_OPS, TRAINING_ONLY
from tinytrain.ir.ops_update import APPLY_OPS, SGD_OPS, UPDATE_OPS, replaced
from tinytrain.isa import ISAS
from tinytrain.kernel.choose import choose_kernels
from tinytrain.plan.liveness import storages
from tinytrain.plan.order import Region
from tinytrain.plan.place import live_bytes

_EAGER = SGD_OPS | {"clamp_mask", "gather_channels"}


@dataclass(frozen=True)
class Schedule:
    """Moves eager nodes forward, then looks for orders with a smaller peak."""

    name: ClassVar[str] = "schedule"
    summary: ClassVar[str] = (
        "moves updates and masks as early as they may run, and orders branches for least memory"
    )

    def __call__(self, graph: Graph) -> Graph:
        return _smaller(self.plain(graph))

    def plain(self, graph: Graph) -> Graph:
        """Eager nodes moved forward; everything else keeps its order."""
        readers = parameter_readers(graph)
        waiting = [node for node in graph.nodes if node.op in _EAGER]
        known: set[Value] = {*graph.inputs, *graph.constants, *graph.parameters}
        done: set[str] = set()
        order: list[Node] = []

        def place(node: Node) -> None:
            order.append(node)
            done.add(node.name)
            known.update(node.outputs)

        def ready(node: Node) -> bool:
            return all(value in known for value in node.inputs) and all(
                reader in done for reader in readers.get(node.name, ())
            )

        for node in graph.nodes:
            if node.op in _EAGER:
                continue
            place(node)
            while True:
                found = next((candidate for candidate in waiting if ready(candidate)), None)
                if found is None:
                    break
                waiting.remove(found)
                place(found)
        return replace(graph, nodes=tuple(order + waiting))


def parameter_readers(graph: Graph) -> dict[str, set[str]]:
    """For each node that writes a parameter: the nodes before it, which read the old one."""
    views: dict[Value, set[Value]] = {}
    for node in graph.nodes:
        if node.op == "merge_channels":
            for value in node.inputs:
                views.setdefault(value, set()).add(node.output)
    before: dict[str, set[str]] = {}
    for writer in graph.nodes:
        for old, _ in replaced(writer):
            names = {old, *views.get(old, ())}
            before.setdefault(writer.name, set()).update(
                node.name
                for node in graph.nodes
                if node is not writer and any(value in names for value in node.inputs)
            )
    return before


def movable(graph: Graph) -> list[range]:
    """Runs of nodes of which each may be put in another order.

    They are the forward nodes behind the frozen ones, and the backward nodes. The frozen ones stay
    as they are, as what they give is kept and streamed as a whole; the loss and its quantization
    stay together, and what applies accumulated gradients comes last.
    """
    ops = [node.op for node in graph.nodes]
    loss = next((k for k, op in enumerate(ops) if op in LOSS_OPS), len(ops))
    apply = next((k for k, op in enumerate(ops) if op in APPLY_OPS), len(ops))
    return [range(frozen_count(graph, graph.nodes[:loss]), loss), range(loss + 2, apply)]


def frozen_count(graph: Graph, forward: Sequence[Node]) -> int:
    """How many nodes come before the first that reads a parameter, or that inference leaves out.

    Args:
        forward: the nodes before the loss.
    """
    trained: set[Value] = set(graph.parameters)
    for count, node in enumerate(forward):
        reads = trained.intersection(node.inputs)
        if node.op == "merge_channels":
            # No code: it only says where both parts of the weights lie.
            trained.update(node.outputs if reads else ())
        elif reads or node.op in TRAINING_ONLY:
            return count
    return len(forward)


def fixed_pairs(graph: Graph) -> list[tuple[int, int]]:
    """Indices of nodes whose order must stay beside what their values ask for."""
    index = {node.name: k for k, node in enumerate(graph.nodes)}
    pairs = [
        (index[reader], index[writer])
        for writer, readers in parameter_readers(graph).items()
        for reader in sorted(readers)
        if index[reader] < index[writer]
    ]
    return pairs + list(pairwise(k for k, n in enumerate(graph.nodes) if n.op in UPDATE_OPS))


def _smaller(graph: Graph) -> Graph:
    """The graph in an order that needs less on some core and more on none."""
    for span in movable(graph):
        peaks = _peaks(graph, span)
        # One order for all cores: a saved file names the model by its nodes in their order.
        found = [other for isa in ISAS if (other := _reordered(graph, span, isa)) is not None]
        found = [
            o for o in found if all(a <= b for a, b in zip(_peaks(o, span), peaks, strict=True))
        ]
        graph = min([graph, *found], key=lambda other: sum(_peaks(other, span)))
    return graph


def _peaks(graph: Graph, span: range) -> list[int]:
    """The largest sum of live bytes within a run of nodes, for each instruction set."""
    return [
        max(live_bytes(storages(graph, choose_kernels(graph, isa)), span), default=0)
        for isa in ISAS
    ]


def _reordered(graph: Graph, span: range, isa: str) -> Graph | None:
    choices = choose_kernels(graph, isa)
    budget = max(live_bytes(storages(graph, choices), span), default=0)
    order = Region(graph, span, fixed_pairs(graph), choices).better_order(budget)
    if order is None:
        return None
    nodes = list(graph.nodes)
    nodes[span.start : span.stop] = [graph.nodes[span.start + k] for k in order]
    return replace(graph, nodes=tuple(nodes))
