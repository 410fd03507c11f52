"""`saved_activations`: one bit an element, unless the activation is kept anyway."""

from __future__ import annotations

import pytest

from tests.support.graphs import GRAPHS, Net
from tests.support.steps import inputs_of, plain_step, step_of
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import selection, training
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import loss_index
from tinytrain.ir.types import DType
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Runner
from tinytrain.passes.saved_activations import SavedActivations
from tinytrain.scheme.scheme import load_scheme


def around(graph: Graph, scheme: str) -> tuple[Graph, Graph]:
    """A graph before the pass and after it."""
    options = Options(scheme=scheme)
    layers = [node.layer for node in graph.nodes if node.op in ("conv2d", "dense")]
    steps = [*selection(options, load_scheme(scheme, layers))]
    steps += training(options, load_scheme(scheme, layers))
    names = [step.name for step in steps]
    before = Runner().run(graph, steps[: names.index("saved_activations")])
    after = SavedActivations()(before)
    verify(after, "saved_activations")
    return before, after


def kept(graph: Graph) -> set[Value]:
    """What the backward pass of a graph reads anyway, and what is the same bytes."""
    loss = loss_index(graph)
    found = {
        value
        for node in graph.nodes[loss:]
        if node.op != "grad_clamp"
        for value in node.inputs
        if value.type.dtype is DType.S8 and value.type.exponent is None
    }
    for node in reversed(graph.nodes[:loss]):
        if node.op == "reshape" and node.output in found:
            found.add(node.inputs[0])
    return found


@pytest.mark.parametrize("scheme", ["bias", "last-2", "full"])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_clamp_reads_what_costs_least_to_keep(name: str, scheme: str) -> None:
    before, after = around(GRAPHS[name](), scheme)
    held, producers = kept(before), after.producers()
    old = {node.name: node for node in before.nodes}
    clamps = [node for node in after.nodes if node.op == "grad_clamp"]
    assert clamps
    for node in clamps:
        gradient, y = old[node.name].inputs
        assert node.inputs[0] == gradient
        if y in held:
            assert node is old[node.name]
            continue
        mask = producers[node.inputs[1]]
        assert (mask.op, mask.inputs, mask.layer) == ("clamp_mask", (y,), node.layer)
        assert mask.attrs["clamp"] == node.attrs["clamp"]
        assert mask.output.type.shape == y.type.shape and mask.output.type.dtype is DType.BIT


@pytest.mark.parametrize("scheme", ["bias", "full"])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_mask_follows_what_it_is_made_of_and_the_rest_stays(name: str, scheme: str) -> None:
    before, after = around(GRAPHS[name](), scheme)
    names = [node.name for node in after.nodes]
    producers = after.producers()
    for node in after.nodes:
        if node.op == "clamp_mask":
            assert names.index(node.name) == names.index(producers[node.inputs[0]].name) + 1
    rest = [node.name for node in after.nodes if node.op != "clamp_mask"]
    assert rest == [node.name for node in before.nodes]


def test_masks_and_saved_outputs_give_the_same_step(monkeypatch: pytest.MonkeyPatch) -> None:
    with_masks = step_of(GRAPHS["convolutions"](), scheme="bias")
    assert any(node.op == "clamp_mask" for node in with_masks.graph.nodes)
    monkeypatch.setattr(SavedActivations, "__call__", lambda self, graph: graph)
    without = step_of(GRAPHS["convolutions"](), scheme="bias")
    assert all(node.op != "clamp_mask" for node in without.graph.nodes)
    inputs = inputs_of(with_masks.graph)
    assert (
        plain_step(with_masks, inputs).weights_bytes()
        == plain_step(without, inputs).weights_bytes()
    )
    assert with_masks.plan.nbytes < without.plan.nbytes


def test_a_mask_is_not_made_of_what_is_kept_under_another_shape() -> None:
    net = Net((1, 4, 4, 2), 0)
    x = net.conv(net.x, 4, clamp="relu")
    graph = step_of(net.finish(net.dense(net.flat(x), 3))).graph
    masks = {node.inputs[0].name for node in graph.nodes if node.op == "clamp_mask"}
    assert "conv_0" not in masks


def test_a_mask_is_not_made_of_what_an_activation_keeps() -> None:
    """Its derivative reads the same map that the clamp before it reads."""
    net = Net((1, 4, 4, 2), 0)
    x = net.activation(net.conv(net.x, 4, clamp="relu"), "hard_swish")
    _, after = around(net.finish(net.dense(net.flat(x), 3)), "bias")
    masked = {
        node.layer: node.inputs[1].type.dtype for node in after.nodes if node.op == "grad_clamp"
    }
    assert masked == {"conv_0": DType.S8, "dense_0": DType.BIT}
