"""Switches in a step: one library of the largest scheme runs any scheme within it.

What only training needs stands under a switch each, so that the backward pass stops where nothing
behind needs it. The forward pass can begin behind the layers before the first that trains. A tensor
that trains in part is updated as a whole, and what was not chosen then gets back what it was. What
a scheme decides of an update, its constants and its place among the updates, comes from the
session. `simulation.library_switches` sets all of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import loss_index, replaced, role_of, stored_in
from tinytrain.ir.ops import Role
from tinytrain.ir.types import DType

SWITCHES = "switches"
"""The field of the state."""


class Switching:
    """What of a scheduled training graph a session may leave out."""

    def __init__(self, graph: Graph) -> None:
        loss = loss_index(graph)
        self._places = {node.name: place for place, node in enumerate(graph.nodes)}
        # The loss and the quantization of its gradient always run.
        self._left_out = {
            node.name
            for place, node in enumerate(graph.nodes)
            if place >= loss + 2 or role_of(node) is Role.TRAINING
        }
        self._forward = {node.name for node in graph.nodes[:loss]} - self._left_out
        self._stored_in = stored_in(graph)
        self._parameters = {value: place for place, value in enumerate(graph.parameters)}

    def given(self, update: int, field: str) -> str:
        """A C expression for what the session says of an update."""
        return f"state->{SWITCHES}.updates[{update}].{field}"

    def lines(self, node: Node, lines: Sequence[str], fields: Mapping[Value, str]) -> list[str]:
        """The lines of a node, under its switch if it has one.

        Args:
            fields: of the state, by parameter.
        """
        place = self._places[node.name]
        if node.name in self._left_out:
            runs = f"state->{SWITCHES}.runs[{place}]"
        elif node.name in self._forward:
            runs = f"{place} >= state->{SWITCHES}.from && {place} < state->{SWITCHES}.to"
        else:
            return list(lines)
        body = list(lines)
        for old, _ in replaced(node):
            parameter = self._stored_in.get(old, old)
            if parameter.type.dtype in (DType.S8, DType.U8):  # a bias trains whole
                field = f"state->{fields[parameter]}"
                which = self._parameters[parameter]
                body.append(f"hold(state, {which}, (uint8_t *){field}, sizeof {field});")
        return [f"if ({runs}) {{", *(f"    {line}" for line in body), "}"]
