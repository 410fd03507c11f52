"""`dead_code`: exactly what outputs and updates need stays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.steps import step_of
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, TensorType
from tinytrain.ir.verify import verify
from tinytrain.passes.dead_code import DeadCode


def names(graph: Graph) -> dict[str, list[str]]:
    return {
        "nodes": [node.name for node in graph.nodes],
        "constants": [value.name for value in graph.constants],
        "parameters": [value.name for value in graph.parameters],
        "fractions": [value.name for value in graph.fractions],
        "inputs": [value.name for value in graph.inputs],
    }


def spare(graph: Graph, read: Value, name: str) -> Node:
    """A node that reshapes a value for nobody."""
    flat = TensorType((read.type.size,), read.type.dtype, read.type.quantization)
    return Node("reshape", (read,), (Value(name, flat),), {}, name, name)


def test_dead_code_removes_what_nothing_needs() -> None:
    graph = GRAPHS["signal"]()
    data = np.zeros(4, np.int8)
    lone = Value("lone", TensorType((4,), DType.S8))
    last = spare(graph, spare(graph, lone, "first").output, "second")
    fat = replace(
        graph,
        nodes=(spare(graph, lone, "first"), *graph.nodes, last),
        constants={**graph.constants, lone: data},
    )
    verify(fat, "test")
    assert names(DeadCode()(fat)) == names(graph)


def test_parameters_and_their_fractions_go_together() -> None:
    graph = step_of(GRAPHS["signal"](), scheme="full", fraction_bits=4).graph
    assert graph.fractions
    assert names(DeadCode()(graph)) == names(graph)
    weights, fraction = next(iter(graph.fractions.items()))
    for kept in ([weights], [fraction], []):
        updates = {v: w for v, w in graph.updates.items() if v not in {weights, fraction}}
        alive = {v: graph.updates[v] for v in kept}
        readers = [
            node
            for node in graph.nodes
            if {weights, fraction}.isdisjoint(node.inputs) or set(kept) & set(node.inputs)
        ]
        result = DeadCode()(replace(graph, nodes=tuple(readers), updates={**updates, **alive}))
        assert weights not in result.fractions or {weights, fraction} <= set(result.parameters)


def test_a_node_stays_for_any_of_its_outputs() -> None:
    graph = step_of(GRAPHS["signal"](), scheme="full").graph
    pool = next(node for node in graph.nodes if node.op == "max_pool2d_winner")
    values, winner = pool.outputs
    for wanted, other in ((values, winner), (winner, values)):
        cut = replace(graph, outputs=(wanted,), updates={}, fractions={})
        cut = replace(cut, nodes=graph.nodes[: graph.nodes.index(pool) + 1])
        result = DeadCode()(cut)
        assert pool.name in names(result)["nodes"], other


def test_inputs_stay() -> None:
    graph = GRAPHS["signal"]()
    extra = Value("extra", TensorType((1,), DType.S32))
    fat = replace(graph, inputs=(*graph.inputs, extra))
    assert DeadCode()(fat).inputs == fat.inputs


@pytest.mark.parametrize("name", GRAPHS)
def test_everything_that_is_left_is_needed(name: str) -> None:
    """Walked from the other side: each node's results reach an output or an update."""
    graph = step_of(GRAPHS[name](), scheme="last-1").graph
    wanted = {*graph.outputs, *graph.updates.values()}
    read = {value for node in graph.nodes for value in node.inputs}
    for node in graph.nodes:
        assert any(value in read | wanted for value in node.outputs), node.name
    for value in graph.constants:
        assert value in read, value
    for value in graph.parameters:
        assert value in read, value
