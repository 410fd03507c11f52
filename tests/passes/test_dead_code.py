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


def spare(read: Value, name: str) -> Node:
    """A node that reshapes a value for nobody."""
    flat = TensorType((read.type.size,), read.type.dtype, read.type.quantization)
    return Node("reshape", (read,), (Value(name, flat),), {}, name, name)


def test_dead_code_removes_what_nothing_needs() -> None:
    graph = GRAPHS["signal"]()
    data = np.zeros(4, np.int8)
    lone = Value("lone", TensorType((4,), DType.S8))
    last = spare(spare(lone, "first").output, "second")
    fat = replace(
        graph,
        nodes=(spare(lone, "first"), *graph.nodes, last),
        constants={**graph.constants, lone: data},
    )
    verify(fat, "test")
    assert names(DeadCode()(fat)) == names(graph)


@pytest.mark.parametrize("weights_read", [True, False])
@pytest.mark.parametrize("fraction_read", [True, False])
def test_parameters_that_nothing_reads_go_with_their_fractions(
    weights_read: bool, fraction_read: bool
) -> None:
    weights = Value("w", TensorType((4,), DType.S8))
    fraction = Value("w_fraction", TensorType((2,), DType.U8))
    nodes = (spare(weights, "a"), spare(fraction, "b"))
    graph = Graph(
        "two",
        (),
        nodes,
        tuple(
            node.output
            for node, read in zip(nodes, (weights_read, fraction_read), strict=True)
            if read
        ),
        parameters={weights: np.zeros(4, np.int8), fraction: np.zeros(2, np.uint8)},
        fractions={weights: fraction},
    )
    found = DeadCode()(graph)
    verify(found, "dead_code")
    assert (weights in found.parameters) is weights_read
    assert (fraction in found.parameters) is fraction_read
    assert (weights in found.fractions) is (weights_read and fraction_read)


def test_what_is_replaced_stays_though_nothing_reads_it() -> None:
    x, p = (
        Value(name, TensorType(shape, DType.S8)) for name, shape in (("x", (2, 2)), ("p", (4,)))
    )
    node = spare(x, "new")
    data = {p: np.zeros(4, np.int8)}
    graph = Graph("one", (x,), (node,), (), parameters=data, updates={p: node.output})
    verify(graph, "test")
    found = DeadCode()(graph)
    assert names(found) == names(graph) and found.updates == graph.updates


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
