"""`differentiate`: the loss, and gradients of what is trained, no further.

That the gradients are right is what `tests/gradients` is for.
"""

from __future__ import annotations

import pytest

from tests.support.graphs import GRAPHS, Net
from tests.support.steps import step_of
from tinytrain.autodiff.differentiate import Differentiate, Loss
from tinytrain.compiler.options import GRADIENTS, Options
from tinytrain.compiler.pipeline import build_step, select_trainable
from tinytrain.errors import ModelError, UsageError
from tinytrain.ir.graph import Graph
from tinytrain.ir.types import DType
from tinytrain.ir.verify import verify
from tinytrain.losses import LOSSES
from tinytrain.passes.base import Runner


def selected(graph: Graph, **options: object) -> Graph:
    return select_trainable(graph, Options(**options), Runner())[0]  # type: ignore[arg-type]


@pytest.mark.parametrize("gradient", GRADIENTS)
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", GRAPHS)
def test_the_loss_follows_the_forward_pass(name: str, loss: str, gradient: str) -> None:
    graph = selected(GRAPHS[name]())
    found = Differentiate(Loss(loss), GRADIENTS[gradient])(graph)
    verify(found, "differentiate")
    size = graph.outputs[0].type.size
    names = [node.name for node in found.nodes]
    # Max pooling behind a trained layer also says which element won.
    assert names[: len(graph.nodes)] == [node.name for node in graph.nodes]
    real, measured, seed = found.nodes[len(graph.nodes) :][:3]
    assert (real.op, measured.op, seed.op) == ("dequantize", LOSS_OPS[loss], "quantize_gradient")
    assert all(node.layer == "loss" for node in (real, measured, seed))
    value, output, *sums = found.outputs
    assert (value, output) == (measured.outputs[0], real.output)
    assert (value.type.dtype, value.type.shape) == (DType.F32, (1,))
    assert (output.type.dtype, output.type.shape) == (DType.F32, (1, size))
    assert found.target == found.inputs[-1] == measured.inputs[1]
    label = loss == "cross_entropy"
    assert found.target.type.dtype is (DType.S32 if label else DType.F32)
    assert found.target.type.shape == ((1,) if label else (1, size))
    assert seed.inputs == (measured.outputs[1],)
    assert seed.output.type.dtype is GRADIENTS[gradient]
    assert seed.output.type.exponent == (None if gradient == "f32" else "loss_e")
    trained = [value for value in graph.parameters if value not in graph.fractions.values()]
    assert list(found.gradients) == trained
    assert list(found.gradients.values()) == [(total,) for total in sums]
    for parameter, (total,) in found.gradients.items():
        assert total.type.shape == parameter.type.shape


LOSS_OPS = {
    "cross_entropy": "softmax_cross_entropy",
    "mean_squared_error": "mean_squared_error",
    "binary_cross_entropy": "binary_cross_entropy",
    "huber": "huber",
}


def test_labels_are_smoothed_only_if_asked_to() -> None:
    graph = selected(GRAPHS["signal"]())
    for smoothing, wanted in ((0.0, {}), (0.25, {"smoothing": 0.25})):
        found = Differentiate(Loss("cross_entropy", smoothing), DType.S8)(graph)
        (node,) = (node for node in found.nodes if node.name == "loss")
        assert node.attrs == wanted


def test_a_map_is_flattened_for_the_loss_and_its_gradient_is_a_map_again() -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = selected(net.finish(net.conv(net.x, 4, kernel=(1, 1), padding=(0, 0, 0, 0))))
    found = Differentiate(Loss("mean_squared_error"), DType.S8)(graph)
    verify(found, "differentiate")
    ops = [node.op for node in found.nodes[len(graph.nodes) :]]
    assert ops[:5] == [
        "dequantize",
        "reshape",
        "mean_squared_error",
        "quantize_gradient",
        "reshape",
    ]
    assert found.outputs[1].type.shape == (1, 64)
    assert found.nodes[len(graph.nodes) + 4].output.type.shape == (1, 4, 4, 4)


def test_only_pooling_behind_a_trained_layer_remembers_the_winner() -> None:
    for scheme, wanted in (("head", "max_pool2d"), ("full", "max_pool2d_winner")):
        graph = selected(GRAPHS["signal"](), scheme=scheme)
        found = Differentiate(Loss("cross_entropy"), DType.S8)(graph)
        assert next(node.op for node in found.nodes if "max_pool2d" in node.op) == wanted


def test_what_cannot_be_differentiated_is_refused() -> None:
    graph = selected(GRAPHS["signal"]())
    with pytest.raises(UsageError, match="unknown loss 'hinge'"):
        Differentiate(Loss("hinge"), DType.S8)(graph)
    with pytest.raises(UsageError, match="trains nothing"):
        Differentiate(Loss("cross_entropy"), DType.S8)(GRAPHS["signal"]())


def test_a_frozen_front_gets_no_backward_nodes() -> None:
    graph = step_of(GRAPHS["convolutions"](), scheme="last-1").graph
    trained = {node.layer for node in graph.nodes if "grad" in node.op}
    assert {"conv_0", "conv_1", "conv_2"}.isdisjoint(trained)
    head = step_of(GRAPHS["convolutions"](), scheme="head").graph
    assert all(node.op != "conv2d_grad_input" for node in head.nodes)


@pytest.mark.parametrize(
    ("channels", "told"), [(1, "one output for each pixel"), (257, "257 outputs for each pixel")]
)
def test_cross_entropy_of_a_map_that_has_no_classes_is_refused(channels: int, told: str) -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = net.finish(net.conv(net.x, channels, kernel=(1, 1), padding=(0, 0, 0, 0)))
    with pytest.raises(ModelError, match=told):
        build_step(graph, Options(), Runner())
    build_step(graph, Options(loss="mean_squared_error"), Runner())


def test_cross_entropy_of_a_map_is_that_of_each_pixel() -> None:
    net = Net((1, 4, 4, 2), 0)
    graph = net.finish(net.conv(net.x, 4, kernel=(1, 1), padding=(0, 0, 0, 0)))
    target = build_step(graph, Options(), Runner()).graph.target
    assert target is not None
    assert (target.type.dtype, target.type.shape) == (DType.U8, (16,))
