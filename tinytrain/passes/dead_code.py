"""Removes nodes, constants and parameters that no output and no update needs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from tinytrain.ir.graph import Graph, needed_for


@dataclass(frozen=True)
class DeadCode:
    """Keeps exactly what the outputs and the updates depend on; inputs stay."""

    name: ClassVar[str] = "dead_code"
    summary: ClassVar[str] = "removes what no output and no update needs"

    def __call__(self, graph: Graph) -> Graph:
        wanted = (*graph.outputs, *graph.updates.values(), *graph.updates)
        nodes, live = needed_for(graph, wanted)
        return replace(
            graph,
            nodes=nodes,
            constants={value: data for value, data in graph.constants.items() if value in live},
            parameters={value: data for value, data in graph.parameters.items() if value in live},
            fractions={
                weights: fraction
                for weights, fraction in graph.fractions.items()
                if weights in live and fraction in live
            },
        )
