"""`replace_head`: a fresh classifier where the last layer with weights was."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, Net
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import ModelError, UsageError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType, Quantization
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Runner
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.replace_head import ReplaceHead


def head_of(graph: Graph) -> Node:
    return [node for node in graph.nodes if node.op == "conv2d"][-1]


def test_a_fresh_head_has_the_asked_size_and_only_then() -> None:
    graph = DenseToConv()(GRAPHS["signal"]())
    replaced = ReplaceHead(classes=9, seed=4)(graph)
    assert replaced.outputs[0].type.shape == (1, 9)
    again = ReplaceHead(classes=9, seed=4)(graph)
    weights = [
        data.tobytes()
        for g in (replaced, again)
        for v, data in g.constants.items()
        if v.type.shape[0] == 9
    ]
    assert weights[: len(weights) // 2] == weights[len(weights) // 2 :]
    with pytest.raises(UsageError, match="classes= must be between 2 and 65535, got 1"):
        ReplaceHead(classes=1, seed=0)(graph)


def window() -> Graph:
    """A head that is a convolution over its whole map, with a bound on its output."""
    net = Net((1, 2, 3, 4), 0)
    return net.finish(net.conv(net.x, 5, kernel=(2, 3), padding=(0, 0, 0, 0), clamp=(-40, 70)))


# An embedding ends in no classifier.
HEADS = {**GRAPHS, "window": window}
del HEADS["embedding"]


@pytest.mark.parametrize("name", HEADS)
def test_the_new_head_stands_where_the_old_one_was(name: str) -> None:
    graph = DenseToConv()(HEADS[name]())
    found = ReplaceHead(classes=7, seed=4)(graph)
    verify(found, "replace_head")
    old, new = head_of(graph), head_of(found)
    place = graph.nodes.index(old)
    assert found.nodes[:place] == graph.nodes[:place]
    head, flat = found.nodes[place:]
    assert head is new and flat.op == "reshape" and found.outputs == (flat.output,)
    assert (head.name, head.layer, head.inputs[0]) == (old.name, old.layer, old.inputs[0])
    assert flat.layer == head.layer
    assert head.attrs == {**old.attrs, "clamp": (-128, 127)}
    scale = old.inputs[0].type.quantization.scale[0] * head.inputs[1].type.quantization.scale[0]
    for value, shape in ((head.output, (1, 1, 1, 7)), (flat.output, (1, 7))):
        assert (value.type.shape, value.type.dtype) == (shape, DType.S32)
        assert value.type.quantization == Quantization((scale,))


@pytest.mark.parametrize("name", HEADS)
def test_its_weights_are_uniform_with_room_to_grow(name: str) -> None:
    """±127 is eight times the largest weight that it may start with."""
    graph = DenseToConv()(HEADS[name]())
    found = ReplaceHead(classes=300, seed=4)(graph)
    _, w, b = head_of(found).inputs
    bound = 1.0 / math.sqrt(math.prod(w.type.shape[1:]))
    (scale,) = set(w.type.quantization.scale)
    assert len(w.type.quantization.scale) == 300 and w.type.quantization.axis == 0
    assert scale == float(np.float32(bound * 8 / 127))
    real = found.constants[w] * scale
    assert found.constants[w].dtype == np.int8
    assert 0.9 * bound < np.abs(real).max() <= bound + scale / 2
    # Uniform: the mean is zero, the standard deviation bound / sqrt(3).
    assert abs(real.mean()) < 0.1 * bound
    assert real.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert not found.constants[b].any() and b.type.quantization is None


def test_a_seed_decides_the_weights() -> None:
    graph = DenseToConv()(GRAPHS["signal"]())

    def weights(seed: int) -> np.ndarray:
        found = ReplaceHead(classes=9, seed=seed)(graph)
        return found.constants[head_of(found).inputs[1]]

    assert np.array_equal(weights(4), weights(4))
    assert not np.array_equal(weights(4), weights(5))


def test_nothing_of_the_old_head_is_left() -> None:
    graph = DenseToConv()(GRAPHS["signal"]())
    found = ReplaceHead(classes=9, seed=0)(graph)
    old = set(head_of(graph).inputs[1:])
    assert set(found.constants) == {*graph.constants} - old | set(head_of(found).inputs[1:])


def test_without_a_number_of_classes_the_head_stays() -> None:
    graph = GRAPHS["signal"]()
    assert ReplaceHead(classes=None, seed=0)(graph) is graph


@pytest.mark.parametrize("classes", [2, 65_535])
def test_as_many_classes_as_kernels_count(classes: int) -> None:
    graph = DenseToConv()(GRAPHS["signal"]())
    found = ReplaceHead(classes=classes, seed=0)(graph)
    assert found.outputs[0].type.shape == (1, classes)
    wrong = {2: 1, 65_535: 65_536}[classes]
    with pytest.raises(UsageError, match=f"got {wrong}"):
        ReplaceHead(classes=wrong, seed=0)(graph)


def test_a_head_behind_an_activation_is_refused() -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = net.finish(net.activation(net.conv(net.x, 3), "tanh"))
    with pytest.raises(ModelError, match="no classifier"):
        ReplaceHead(classes=3, seed=0)(graph)


@pytest.mark.parametrize(
    ("shape", "options", "wanted"),
    [
        ((1, 4, 4, 2), {}, "gives a map of 4x4"),
        ((1, 1, 2, 2), {}, "gives a map of 1x2"),
        ((1, 1, 1, 4), {"groups": 4}, "has 4 groups"),
        ((1, 1, 1, 4), {"groups": 2}, "has 2 groups"),
    ],
)
def test_heads_that_are_no_classifier_are_refused(shape, options, wanted) -> None:
    net = Net(shape, 0)
    x = net.conv(net.x, 4, kernel=(1, 1), padding=(0, 0, 0, 0), **options)
    graph = net.finish(x)
    with pytest.raises(ModelError, match=wanted):
        build_step(graph, Options(classes=10), Runner())


def test_a_model_without_weights_is_refused() -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = net.finish(net.flat(net.pool("max_pool2d", net.x, (4, 4), (4, 4))))
    with pytest.raises(ModelError, match="no layer with weights"):
        ReplaceHead(classes=3, seed=0)(graph)
    with pytest.raises(ModelError, match="no layer with weights"):
        build_step(graph, Options(), Runner())


def test_an_input_without_a_scale_is_refused() -> None:
    """Logits would have no scale."""
    graph = DenseToConv()(GRAPHS["signal"]())
    head = head_of(graph)
    x = head.inputs[0]
    bare = Value(x.name, type(x.type)(x.type.shape, x.type.dtype))
    nodes = []
    for node in graph.nodes:
        swap = {x: bare}
        nodes.append(
            Node(
                node.op,
                tuple(swap.get(v, v) for v in node.inputs),
                tuple(swap.get(v, v) for v in node.outputs),
                node.attrs,
                node.name,
                node.layer,
            )
        )
    broken = Graph(graph.name, graph.inputs, tuple(nodes), graph.outputs, constants=graph.constants)
    with pytest.raises(ModelError, match="is followed by reshape: it is no classifier"):
        ReplaceHead(classes=3, seed=0)(broken)
    bare_head = replace(broken, nodes=broken.nodes[: broken.nodes.index(head_of(broken)) + 1])
    with pytest.raises(ModelError, match="is followed by nothing: it is no classifier"):
        ReplaceHead(classes=3, seed=0)(bare_head)


@pytest.mark.parametrize("flat", [True, False])
def test_a_head_with_something_behind_it_is_refused_with_its_name(flat: bool) -> None:
    net = Net((1, 1, 1, 4), 0)
    x = net.conv(net.x, 3, kernel=(1, 1), padding=(0, 0, 0, 0))
    x = net.activation(net.flat(x) if flat else x, "tanh")
    wanted = "reshape, activation" if flat else "activation"
    with pytest.raises(ModelError, match=f"'conv_0', is followed by {wanted}: it is no"):
        ReplaceHead(classes=3, seed=0)(net.finish(x))
