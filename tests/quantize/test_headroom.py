"""Scales with room to grow: which are widened, by how much, and which are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.support.imported import shared_model, to_ours
from tests.support.torch_modules import Blocks, samples
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import to_integers
from tinytrain.errors import ModelError, UsageError
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.types import DType, Quantization
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.quantize import Headroom, integerize, quantize_float, with_headroom


def compiled(scheme: str = "full", weights: float = 1.0, ranges: float = 1.0) -> Graph:
    torch.manual_seed(0)
    x = samples()
    model = load_model(Blocks().eval(), example=torch.from_numpy(x[:1]))
    options = Options(scheme=scheme, weight_headroom=weights, range_headroom=ranges)
    return to_integers(model, to_ours(x, model.source.layout), options, Runner())


def layer(graph: Graph, name: str) -> Node:
    return next(node for node in graph.nodes if node.name == name)


def scales_of(node: Node) -> np.ndarray:
    meaning = node.inputs[1].type.quantization
    assert meaning is not None
    return np.asarray(meaning.scale)


def limits_of(node: Node) -> tuple[float, float]:
    meaning = node.output.type.quantization
    assert meaning is not None
    (scale,) = meaning.scale
    return scale * (-128 - meaning.zero_point), scale * (127 - meaning.zero_point)


def test_a_factor_of_one_changes_nothing() -> None:
    plain, asked = compiled(), compiled(weights=1.0, ranges=1.0)
    assert [node.outputs for node in plain.nodes] == [node.outputs for node in asked.nodes]
    assert layer(plain, "dense_0").output.type.dtype is DType.S8


def test_weights_reach_the_factor_times_their_largest() -> None:
    plain, wide = compiled(), compiled(weights=4.0)
    for name in ("conv_0", "conv_2", "dense_0"):
        w = layer(wide, name).inputs[1]
        rows = np.abs(wide.constants[w].astype(float)).reshape(w.type.shape[0], -1)
        fan_in = rows.shape[1]
        largest = 127 * scales_of(layer(plain, name))
        reach = 4 * np.maximum(largest, 1 / np.sqrt(fan_in))
        np.testing.assert_allclose(127 * scales_of(layer(wide, name)), reach, rtol=1e-6)
        assert rows.max() <= 32
        assert rows.max() >= 16
        real = wide.constants[w].astype(float) * scales_of(layer(wide, name))[0]
        before = plain.constants[layer(plain, name).inputs[1]] * scales_of(layer(plain, name))[0]
        # Half a step of each of the two roundings.
        step = scales_of(layer(wide, name))[0] + scales_of(layer(plain, name))[0]
        assert np.abs(real[0] - before[0]).max() <= 0.5 * step * (1 + 1e-6)


def test_weights_of_zero_can_learn() -> None:
    assert (scales_of(layer(compiled(), "conv_1")) == 1.0).all()
    reach = 127 * scales_of(layer(compiled(weights=4.0), "conv_1"))
    np.testing.assert_allclose(reach, 4 / np.sqrt(4 * 9), rtol=1e-6)


def test_frozen_layers_keep_their_scales() -> None:
    plain = compiled("last-1")
    wide = compiled("last-1", weights=4.0, ranges=4.0)
    for name in ("conv_0", "conv_1"):
        assert layer(wide, name).inputs[1].type == layer(plain, name).inputs[1].type
        assert layer(wide, name).output.type == layer(plain, name).output.type
    assert (scales_of(layer(wide, "conv_2")) > 3.9 * scales_of(layer(plain, "conv_2"))).all()
    assert limits_of(layer(wide, "conv_2"))[1] > 3.9 * limits_of(layer(plain, "conv_2"))[1]


def test_a_bias_alone_widens_ranges_and_no_weights() -> None:
    plain, wide = compiled("bias"), compiled("bias", weights=4.0, ranges=2.0)
    np.testing.assert_array_equal(
        scales_of(layer(wide, "conv_2")), scales_of(layer(plain, "conv_2"))
    )
    low, high = limits_of(layer(plain, "multiply_0"))
    assert limits_of(layer(wide, "multiply_0")) == pytest.approx((2 * low, 2 * high))


def test_ranges_end_where_a_function_does() -> None:
    plain, wide = compiled(), compiled(ranges=64.0)
    assert wide.inputs[0].type == plain.inputs[0].type
    assert limits_of(layer(wide, "conv_0"))[1] == pytest.approx(6.0)
    gate = next(node for node in wide.nodes if node.attrs.get("function") == "sigmoid")
    assert gate.output.type.quantization == Quantization((1 / 256,), -128)


def test_a_branch_of_zeros_gets_the_range_of_its_sum() -> None:
    assert layer(compiled(), "conv_1").output.type.quantization == Quantization((1.0,), 0)
    wide = compiled(ranges=2.0)
    low, high = limits_of(layer(wide, "conv_1"))
    reach = limits_of(layer(wide, "add_0"))[1]
    assert high == pytest.approx(reach, rel=0.01)
    assert low == pytest.approx(-reach, rel=0.01)


@pytest.mark.parametrize("factors", [(4.0, 1.0), (1.0, 4.0)])
def test_logits_leave_as_accumulators(factors: tuple[float, float]) -> None:
    assert compiled("full", *factors).outputs[0].type.dtype is DType.S32


def test_a_quantized_model_is_widened_too() -> None:
    model = load_model(shared_model("resnet8_int8.tflite"))
    plain = to_integers(model, None, Options(), Runner())
    wide = to_integers(
        model, None, Options(scheme="last-2", weight_headroom=2.0, range_headroom=2.0), Runner()
    )
    layers = weighted_layers(plain)
    assert weighted_layers(wide) == layers
    for name in layers:
        w = layer(plain, name).inputs[1]
        rows = np.abs(plain.constants[w].astype(float)).reshape(w.type.shape[0], -1)
        scale = scales_of(layer(plain, name))
        if name in layers[-3:]:
            largest = np.maximum(rows.max(axis=1) * scale, 1 / np.sqrt(rows.shape[1]))
            scale = 2 * largest / 127
        np.testing.assert_allclose(scales_of(layer(wide, name)), scale, rtol=1e-6)


def test_layers_that_cannot_be_told_apart_are_refused() -> None:
    x = samples()
    model = load_model(Blocks().eval(), example=torch.from_numpy(x[:1]))
    graph = quantize_float(model, to_ours(x, model.source.layout))
    with pytest.raises(ModelError, match="cannot tell the layers apart: the model has 4"):
        with_headroom(graph, Headroom(2.0), layers=twice(graph), weights=(), biases=())


def twice(graph: Graph) -> Sequence[str]:
    """The layers of the same model with one convolution quantized in two ways."""
    quantize = next(n for n in graph.nodes if n.op == "quantize" and "conv" in n.name)
    other = replace(quantize.output, name="other")
    assert other.type.quantization is not None
    meaning = replace(other.type.quantization, scale=(2 * other.type.quantization.scale[0],))
    other = replace(other, type=replace(other.type, quantization=meaning))
    second = replace(quantize, outputs=(other,), name="quantize_other", layer="quantize_other")
    at = graph.nodes.index(quantize)
    nodes = (*graph.nodes[:at], second, *graph.nodes[at:])
    return weighted_layers(integerize(replace(graph, nodes=nodes)))


@pytest.mark.parametrize("factor", [0.5, 65.0, float("nan")])
def test_factors_out_of_range_are_refused(factor: float) -> None:
    with pytest.raises(UsageError, match=r"weight_headroom= must be between 1 and 64"):
        Options(weight_headroom=factor)
    with pytest.raises(UsageError, match=r"range_headroom= must be between 1 and 64"):
        Options(range_headroom=factor)
