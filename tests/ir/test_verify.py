"""The verifier: a graph that breaks any rule is refused, with the rule and the pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.steps import step_of
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, TensorType
from tinytrain.ir.verify import verify

Change = Callable[[Graph], Graph]
OTHER = Value("other", TensorType((2,), DType.S8))


def step() -> Graph:
    return step_of(GRAPHS["signal"](), scheme="last-2", momentum=0.5).graph


def with_node(graph: Graph, index: int, **fields: object) -> Graph:
    nodes = list(graph.nodes)
    nodes[index] = replace(nodes[index], **fields)
    return replace(graph, nodes=tuple(nodes))


def retyped(value: Value, **fields: object) -> Value:
    return replace(value, type=replace(value.type, **fields))


def swapped(graph: Graph, held: str, change: Callable[[Value, np.ndarray], object]) -> Graph:
    """One constant or parameter with other data."""
    value, data = next(iter(getattr(graph, held).items()))
    return replace(graph, **{held: {**getattr(graph, held), value: change(value, data)}})


def first_output(graph: Graph, **fields: object) -> Graph:
    """The first node alone, with another output."""
    node = replace(graph.nodes[0], outputs=(retyped(graph.nodes[0].output, **fields),))
    return replace(graph, nodes=(node,), outputs=(), updates={})


BROKEN: dict[str, tuple[Change, str]] = {
    "an input twice": (
        lambda g: replace(g, inputs=(*g.inputs, g.inputs[0])),
        "%x is defined twice (input)",
    ),
    "a constant that is an input": (
        lambda g: replace(
            g, constants={**g.constants, replace(OTHER, name="x"): np.zeros(2, np.int8)}
        ),
        "%x is defined twice (constant)",
    ),
    "a parameter that is a constant": (
        lambda g: replace(g, parameters={**g.parameters, **g.constants}),
        "is defined twice (parameter)",
    ),
    "a result twice": (
        lambda g: replace(g, nodes=(*g.nodes, replace(g.nodes[0], name="again"))),
        "is defined twice (again)",
    ),
    "an empty shape": (
        lambda g: replace(g, inputs=(*g.inputs, retyped(OTHER, shape=(2, 0)))),
        "%other has shape (2, 0)",
    ),
    "constant data of another dtype": (
        lambda g: swapped(g, "constants", lambda value, data: data.astype(np.float32)),
        "its data float32",
    ),
    "constant data of another size": (
        lambda g: swapped(g, "constants", lambda value, data: data.ravel()[1:]),
        "its data",
    ),
    "parameter data of another size": (
        lambda g: swapped(g, "parameters", lambda value, data: np.append(data, data)),
        "its data",
    ),
    "a node without a name": (lambda g: with_node(g, 1, name=""), "node name '' is empty"),
    "a node name twice": (
        lambda g: with_node(g, 1, name=g.nodes[0].name),
        "is empty or used twice",
    ),
    "a read before the write": (
        lambda g: replace(g, nodes=(*g.nodes[1:], g.nodes[0])),
        "is read before it is written",
    ),
    "a read of nothing": (
        lambda g: with_node(g, 0, inputs=(OTHER, *g.nodes[0].inputs[1:])),
        "%other is read before it is written",
    ),
    "an output of nothing": (
        lambda g: replace(g, outputs=(*g.outputs, OTHER)),
        "output %other is never written",
    ),
    "an unknown operation": (
        lambda g: with_node(g, 0, op="conv9d"),
        "unknown operation 'conv9d'",
    ),
    "a missing attribute": (lambda g: with_node(g, 0, attrs={}), "attributes []"),
    "an attribute too many": (
        lambda g: with_node(g, 0, attrs={**g.nodes[0].attrs, "more": 1}),
        "'more'",
    ),
    "an operation's own rule": (
        lambda g: with_node(g, 0, attrs={**g.nodes[0].attrs, "groups": 7}),
        "groups",
    ),
    "an output too many": (
        lambda g: with_node(g, 0, outputs=(*g.nodes[0].outputs, OTHER)),
        "has 2 outputs, not 1",
    ),
    "a result of another shape": (lambda g: first_output(g, shape=(1, 1, 1, 1)), "yields"),
    "a result of another dtype": (lambda g: first_output(g, dtype=DType.F32), "yields"),
    "an update of no parameter": (
        lambda g: replace(g, updates={**g.updates, g.inputs[0]: next(iter(g.updates.values()))}),
        "update of %x, which is not a parameter",
    ),
    "an update to nothing": (
        lambda g: replace(g, updates={**g.updates, (p := next(iter(g.updates))): p}),
        "cannot become",
    ),
    "an update to another type": (
        lambda g: replace(g, updates={**g.updates, next(iter(g.updates)): g.nodes[0].output}),
        "cannot become",
    ),
    "a target that is no input": (
        lambda g: replace(g, target=g.nodes[0].output),
        "is not an input",
    ),
    "no steps to accumulate": (
        lambda g: replace(g, accumulate=0),
        "0 is no number of steps to accumulate",
    ),
    "fractions of no parameter": (
        lambda g: replace(g, fractions={g.inputs[0]: next(iter(g.parameters))}),
        "not both are parameters",
    ),
    "fractions that are no parameter": (
        lambda g: replace(g, fractions={next(iter(g.parameters)): g.inputs[0]}),
        "not both are parameters",
    ),
    "a gradient that is no output": (
        lambda g: replace(g, gradients={next(iter(g.parameters)): (g.nodes[0].output,)}),
        "not an output of a parameter",
    ),
    "a gradient of no parameter": (
        lambda g: replace(g, gradients={g.inputs[0]: (g.outputs[0],)}),
        "not an output of a parameter",
    ),
    "a missing node that runs again": (
        lambda g: replace(g, rematerialized={"gone": g.nodes[0].name}),
        "node 'gone' is said to run again",
    ),
}


def test_a_sound_graph_is_taken() -> None:
    verify(step(), "test")
    verify(replace(step(), accumulate=1, rematerialized={step().nodes[0].name: "gone"}), "test")


@pytest.mark.parametrize("rule", BROKEN)
def test_a_broken_rule_is_told(rule: str) -> None:
    change, wanted = BROKEN[rule]
    with pytest.raises(InternalError, match="the graph is broken after pass 'culprit'") as caught:
        verify(change(step()), "culprit")
    assert wanted in str(caught.value)


def test_an_optional_attribute_may_be_there() -> None:
    graph = step()
    index = next(k for k, node in enumerate(graph.nodes) if node.op == "bias_grad_sgd")
    attrs = {**graph.nodes[index].attrs, "layer_rate": 0.5}
    verify(with_node(graph, index, attrs=attrs), "test")


def test_bits_are_held_in_bytes() -> None:
    """A parameter of fractions has as many bytes as its bits need."""
    value = Value("bits", TensorType((9,), DType.BIT))
    flat = Value("y", TensorType((3, 3), DType.BIT))
    node = Node("reshape", (value,), (flat,), {}, "y", "y")
    graph = Graph("bits", (), (node,), (flat,), constants={value: np.zeros(2, np.uint8)})
    verify(graph, "test")
    for size in (1, 3, 9):
        with pytest.raises(InternalError, match="its data uint8"):
            verify(replace(graph, constants={value: np.zeros(size, np.uint8)}), "test")
