"""Puts nodes in the order in which the device runs them.

The order of the graph is kept, but what frees memory runs as soon as it can: an update once its
gradient exists and the last reader of the old parameter has run, a mask or a cut of an activation
once the activation exists.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.ops_update import SGD_OPS, replaced

_EAGER = SGD_OPS | {"clamp_mask", "gather_channels"}


@dataclass(frozen=True)
class Schedule:
    """Moves eager nodes forward; everything else keeps its order."""

    name: str = "schedule"

    def __call__(self, graph: Graph) -> Graph:
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
