"""`dense_to_conv`: the same numbers as a matrix product, one kernel for both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, Net
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.verify import verify
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.reference.fixed_point import requantize, requantizers
from tinytrain.reference.interpret import run_forward


def product(graph: Graph, node_name: str, x: np.ndarray) -> np.ndarray:
    """What a dense layer gives for s8 [1,I], from its matrix product."""
    node = next(node for node in graph.nodes if node.name == node_name)
    x_value, w, b = node.inputs
    given, weights, wanted = (v.type.quantization for v in (x_value, w, node.output))
    assert given is not None and weights is not None and wanted is not None
    centred = x.astype(np.int64) - given.zero_point
    sums = centred @ graph.constants[w].astype(np.int64).T + graph.constants[b]
    scales = given.scale[0] * np.array(weights.scale) / wanted.scale[0]
    low, high = node.attrs["clamp"]
    return (requantize(sums, *requantizers(scales)) + wanted.zero_point).clip(low, high)


def two_dense(clamp: tuple[int, int] = (-40, 70)) -> Graph:
    """Dense layers behind each other, the second one's weights read by a third too."""
    net = Net((1, 2, 3, 4), 3, "two_dense")
    x = net.dense(net.flat(net.x), 6, clamp=clamp)
    y = net.dense(x, 6)
    graph = net.finish(net.dense(y, 6))
    second, third = graph.nodes[-2:]
    shared = replace(third, inputs=(third.inputs[0], *second.inputs[1:]))
    unread = {*third.inputs[1:]}
    constants = {v: data for v, data in graph.constants.items() if v not in unread}
    return replace(graph, nodes=(*graph.nodes[:-1], shared), constants=constants)


CASES = {**GRAPHS, "two_dense": two_dense}


@pytest.mark.parametrize("name", CASES)
def test_dense_to_conv_keeps_every_result(name: str) -> None:
    graph = CASES[name]()
    converted = DenseToConv()(graph)
    verify(converted, "dense_to_conv")
    assert all(node.op != "dense" for node in converted.nodes)
    assert converted.outputs == graph.outputs
    x = graph.inputs[0]
    sample = np.random.default_rng(0).integers(-128, 128, x.type.shape).astype(np.int8)
    found = run_forward(converted, {"x": sample})
    result = found[graph.outputs[0]]
    assert result.shape == graph.outputs[0].type.shape
    assert len(np.unique(result)) > 1
    layers = [node for node in graph.nodes if node.op == "dense"]
    assert layers
    for node in layers:
        given = found[node.inputs[0]].reshape(node.inputs[0].type.shape)
        wanted = product(graph, node.name, given)
        assert np.array_equal(found[node.output], wanted), node.name
        assert len(np.unique(wanted)) > 1, "a result that says nothing"


def test_a_layer_keeps_its_name_clamp_and_place() -> None:
    graph = two_dense()
    converted = DenseToConv()(graph)
    by_name = {node.name: node for node in converted.nodes}
    for node in graph.nodes:
        if node.op != "dense":
            assert by_name[node.name] is node
            continue
        conv = by_name[node.name]
        assert (conv.op, conv.layer, conv.where) == ("conv2d", node.layer, node.where)
        assert conv.attrs == {
            "strides": (1, 1),
            "padding": (0, 0, 0, 0),
            "dilation": (1, 1),
            "groups": 1,
            "clamp": node.attrs["clamp"],
        }
        assert converted.producers()[node.output].layer == node.layer


def test_maps_between_dense_layers_stay_maps() -> None:
    """The second layer reads the first one's map itself, not a reshape of its reshape."""
    converted = DenseToConv()(two_dense())
    first, second, third = (node for node in converted.nodes if node.op == "conv2d")
    assert second.inputs[0] == first.output
    assert third.inputs[0] == second.output
    assert first.inputs[0].type.shape == (1, 1, 1, 24)


def test_a_pooled_map_is_read_as_it_is() -> None:
    graph = GRAPHS["convolutions"]()
    pool = next(node for node in graph.nodes if node.op == "avg_pool2d")
    *_, head = (node for node in DenseToConv()(graph).nodes if node.op == "conv2d")
    assert head.inputs[0] == pool.output


def test_reshapes_in_a_row_are_one() -> None:
    """A 1x1 map that is flattened twice is still found."""
    net = Net((1, 1, 1, 6), 0)
    flat = net.flat(net.x)
    again = net.emit("reshape", "reshape", [flat], (1, 6), scaled=False)
    converted = DenseToConv()(net.finish(net.dense(again, 3)))
    (conv,) = (node for node in converted.nodes if node.op == "conv2d")
    assert conv.inputs[0] == net.x


def test_weights_are_held_once_and_only_where_they_are_read() -> None:
    graph = two_dense()
    converted = DenseToConv()(graph)
    held = {v.name: v.type.shape for v in converted.constants}
    dense = [node for node in graph.nodes if node.op == "dense"]
    assert {node.inputs[1].name for node in dense} | {node.inputs[2].name for node in dense} == set(
        held
    )
    assert held[dense[1].inputs[1].name] == (6, 1, 1, 6)


def test_a_matrix_that_another_operation_reads_stays_for_it() -> None:
    graph = two_dense()
    dense = next(node for node in graph.nodes if node.op == "dense")
    w = dense.inputs[1]
    reader = replace(
        dense,
        op="reshape",
        inputs=(w,),
        outputs=(Value("w_again", replace(w.type, shape=(w.type.size,))),),
        attrs={},
        name="reader",
    )
    converted = DenseToConv()(replace(graph, nodes=(*graph.nodes, reader)))
    verify(converted, "dense_to_conv")
    assert w in converted.constants
