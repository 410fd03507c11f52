"""Passes: what they promise, on graphs where it can be seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.support.graphs import GRAPHS, Net
from tests.support.steps import inputs_of, plain_step, step_of
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import InternalError, ModelError, SchemeError, UsageError
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import Quantization
from tinytrain.ir.verify import verify
from tinytrain.passes.base import Runner
from tinytrain.passes.dead_code import DeadCode
from tinytrain.passes.dense_to_conv import DenseToConv
from tinytrain.passes.replace_head import ReplaceHead
from tinytrain.passes.saved_activations import SavedActivations
from tinytrain.passes.select_trainable import SelectTrainable
from tinytrain.reference.interpret import run_forward
from tinytrain.scheme.channels import choose_channels
from tinytrain.scheme.scheme import Scheme, Share, load_scheme


@pytest.mark.parametrize("name", GRAPHS)
def test_dense_to_conv_keeps_every_result(name: str) -> None:
    graph = GRAPHS[name]()
    converted = DenseToConv()(graph)
    verify(converted, "dense_to_conv")
    assert all(node.op != "dense" for node in converted.nodes)
    assert converted.outputs == graph.outputs
    x = graph.inputs[0]
    sample = np.random.default_rng(0).integers(-128, 128, x.type.shape).astype(np.int8)
    found = run_forward(converted, {"x": sample})[graph.outputs[0]]
    assert found.shape == graph.outputs[0].type.shape
    assert len(np.unique(found)) > 1


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


def test_a_frozen_front_gets_no_backward_nodes() -> None:
    graph = step_of(GRAPHS["convolutions"](), scheme="last-1").graph
    trained = {node.layer for node in graph.nodes if "grad" in node.op}
    assert {"conv_0", "conv_1", "conv_2"}.isdisjoint(trained)
    head = step_of(GRAPHS["convolutions"](), scheme="head").graph
    assert all(node.op != "conv2d_grad_input" for node in head.nodes)


def test_each_update_comes_before_the_next_gradient() -> None:
    """No sum waits: an update follows its gradient and the last reader of its weights."""
    nodes = step_of(GRAPHS["signal"](), scheme="full").graph.nodes
    order = [node.op for node in nodes if node.layer == "conv_2"]
    assert (
        order.index("bias_grad_sgd")
        < order.index("conv2d_grad_input")
        < order.index("conv2d_grad_weight_sgd")
    )
    position = {node.name: k for k, node in enumerate(nodes)}
    following = next(n for n in nodes if n.layer == "conv_1" and n.op == "conv2d_grad_input")
    update = next(n for n in nodes if n.layer == "conv_2" and n.op == "conv2d_grad_weight_sgd")
    assert position[update.name] < position[following.name]


def test_dead_code_removes_what_nothing_needs() -> None:
    graph = GRAPHS["signal"]()
    node = graph.nodes[0]
    spare = replace(node, name="spare", outputs=(replace(node.output, name="spare"),))
    fat = replace(graph, nodes=(*graph.nodes, spare))
    assert [n.name for n in DeadCode()(fat).nodes] == [n.name for n in graph.nodes]


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
    with pytest.raises(UsageError, match="1 classes"):
        ReplaceHead(classes=1, seed=0)(graph)


def test_a_head_behind_an_activation_is_refused() -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = net.finish(net.activation(net.conv(net.x, 3), "tanh"))
    with pytest.raises(ModelError, match="no classifier"):
        ReplaceHead(classes=3, seed=0)(graph)


def test_the_runner_names_the_pass_that_broke_the_graph() -> None:
    class Breaks:
        name = "breaks"

        def __call__(self, graph: Graph) -> Graph:
            return replace(graph, nodes=graph.nodes[1:])

    with pytest.raises(InternalError, match="after pass 'breaks'"):
        Runner().run(GRAPHS["signal"](), [Breaks()])


def test_largest_channels_go_by_real_weights() -> None:
    score = np.array([0.1, 9.01, 127.0])
    pick = lambda choice: choose_channels("l", Share(0.34), choice, score, 0)  # noqa: E731
    assert pick("largest") == (2,)
    assert pick("smallest") == (0,)
    assert choose_channels("l", Share(channels=(0, 2)), "largest", score, 0) == (
        0,
        2,
    )
    with pytest.raises(SchemeError, match="no input channel 5"):
        choose_channels("l", Share(channels=(5,)), "largest", score, 0)


def test_only_chosen_channels_change(tmp_path) -> None:
    path = tmp_path / "s.toml"
    path.write_text("[weights]\nconv_3 = { channels = [2, 7] }\nconv_4 = { channels = [0, 11] }\n")
    compiled = build_step(
        GRAPHS["convolutions"](), Options(scheme=str(path), learning_rate=1.0), Runner()
    )
    names = {value.name for value in compiled.graph.parameters}
    trained = [v for v in compiled.graph.parameters if v.name.endswith("_trained")]
    assert len(trained) == 2, names
    assert trained[0].type.shape[0] == 2
    assert trained[1].type.shape[3] == 2


def test_the_score_of_a_depthwise_channel_sums_its_real_rows(tmp_path) -> None:
    """Two rows a channel: a large integer at a tiny scale counts for little."""
    net = Net((1, 4, 4, 2), 0)
    x = net.conv(net.x, 4, groups=2)
    graph = net.finish(net.dense(net.flat(x), 3))
    w = graph.nodes[0].inputs[1]
    scales = Quantization((1.0, 0.001, 0.5, 0.5), axis=0)
    skewed = Value(w.name, replace(w.type, quantization=scales))
    rows = np.zeros(w.type.shape, np.int8)
    rows[:, 0, 0, 0] = [0, 127, 100, 100]
    constants = {skewed if v == w else v: rows if v == w else d for v, d in graph.constants.items()}
    first = replace(
        graph.nodes[0], inputs=(graph.nodes[0].inputs[0], skewed, graph.nodes[0].inputs[2])
    )
    graph = DenseToConv()(replace(graph, constants=constants, nodes=(first, *graph.nodes[1:])))
    scheme = Scheme("half", weights={"conv_0": Share(0.5)})
    selected = SelectTrainable(scheme, 0, 0)(graph)
    merge = next(node for node in selected.nodes if node.op == "merge_channels")
    assert merge.attrs["channels"] == (2, 3)


@pytest.mark.parametrize(
    ("shape", "options", "wanted"),
    [
        ((1, 4, 4, 2), {}, "gives a map of 4x4"),
        ((1, 1, 1, 4), {"groups": 4}, "has 4 groups"),
    ],
)
def test_heads_that_are_no_classifier_are_refused(shape, options, wanted) -> None:
    net = Net(shape, 0)
    x = net.conv(net.x, 4, kernel=(1, 1), padding=(0, 0, 0, 0), **options)
    graph = net.finish(x)
    with pytest.raises(ModelError, match=wanted):
        build_step(graph, Options(classes=10), Runner())


def test_cross_entropy_of_a_map_is_refused() -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = net.finish(net.conv(net.x, 4, kernel=(1, 1), padding=(0, 0, 0, 0)))
    with pytest.raises(ModelError, match="a map of 4x4"):
        build_step(graph, Options(), Runner())
    build_step(graph, Options(loss="mean_squared_error"), Runner())


def test_a_mask_is_not_made_of_what_is_kept_under_another_shape() -> None:
    net = Net((1, 4, 4, 2), 0)
    x = net.conv(net.x, 4, clamp="relu")
    graph = step_of(net.finish(net.dense(net.flat(x), 3))).graph
    masks = {node.inputs[0].name for node in graph.nodes if node.op == "clamp_mask"}
    assert "conv_0" not in masks


def test_presets() -> None:
    layers = ["conv_0", "conv_1", "conv_2", "dense_0"]
    assert load_scheme("head", layers) == Scheme("head")
    assert load_scheme("bias", layers).biases == ("conv_0", "conv_1", "conv_2")
    assert set(load_scheme("last-2", layers).weights) == {"conv_1", "conv_2"}
    assert set(load_scheme("full", layers).weights) == {"conv_0", "conv_1", "conv_2"}
    with pytest.raises(SchemeError, match="asks for 4 layers"):
        load_scheme("last-4", layers)


def test_ranges_that_kernels_rely_on_are_proved() -> None:
    net = Net((1, 2, 2, 8200), 0)
    graph = net.finish(net.dense(net.flat(net.x), 3))
    with pytest.raises(ModelError, match=r"'dense_0' is too large.*32,800 products"):
        build_step(graph, Options(), Runner())


def test_a_bias_beyond_its_range_is_refused() -> None:
    graph = GRAPHS["signal"]()
    bias = next(value for value in graph.constants if value.type.shape == (8,))
    data = np.full(8, 2**30 + 1, np.int32)
    broken = replace(graph, constants={**graph.constants, bias: data})
    with pytest.raises(ModelError, match="its bias is larger"):
        build_step(broken, Options(), Runner())
