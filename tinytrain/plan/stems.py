"""Frozen stems that were cut before: schemes that freeze the same layers share the work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tinytrain.ir.graph import Graph, last_use
from tinytrain.ir.operations import frozen_count, loss_index
from tinytrain.kernel.choose import Choice
from tinytrain.plan.line_buffer_search import Stem
from tinytrain.plan.liveness import storages


class Stems:
    """Stems of training steps of one model, which differ in what they train.

    A stem is found again where the same nodes are frozen and the same bytes lie around them. That
    nodes of one name are the same holds for one model and one set of options alone.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], Stem] = {}

    def of(
        self, graph: Graph, choices: Mapping[str, Choice], isa: str, *, fed: bool = False
    ) -> Stem:
        """The stem of a scheduled graph; arguments as for `Stem`."""
        key = (isa, fed, *_around(graph, choices))
        if key not in self._known:
            self._known[key] = Stem(graph, choices, isa, fed=fed)
        return self._known[key]


def _around(graph: Graph, choices: Mapping[str, Choice]) -> tuple[Any, ...]:
    """All that the cuts of a stem depend on."""
    end = frozen_count(graph, graph.nodes[: loss_index(graph)])
    last = last_use(graph)
    nodes = tuple(
        (node.name, *(min(last[value], end) for value in node.outputs))
        for node in graph.nodes[:end]
    )
    lying = tuple(
        (item.name, item.nbytes, item.first, min(item.last, end))
        for item in storages(graph, choices)
        if item.first < end
    )
    return nodes, lying
