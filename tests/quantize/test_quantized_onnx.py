"""Models that onnxruntime's own quantizer wrote, in all the ways that users meet."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.support.imported import float_output, integer_graph, integer_output, to_ours
from tests.support.torch_networks import make_net
from tinytrain.errors import ModelError
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.quantize import integerize, quantize_float

VARIANTS = {
    "u8s8": ("QUInt8", "QInt8", False),
    "s8s8_per_channel": ("QInt8", "QInt8", True),
    "u8s8_per_channel": ("QUInt8", "QInt8", True),
    "u8u8": ("QUInt8", "QUInt8", False),
}


def quantized(name: str, variant: str, opset: int, folder: Path) -> tuple[Path, np.ndarray]:
    """A QDQ model of onnxruntime's static quantizer, and inputs."""
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    net, x = make_net(name)
    source, target = folder / "float.onnx", folder / f"{name}.onnx"
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        torch.onnx.export(
            net, (x[:1],), str(source), dynamo=False, opset_version=min(opset, 18),
            input_names=["x"],
        )  # fmt: skip
    if opset > 18:
        onnx.save(onnx.version_converter.convert_version(onnx.load(source), opset), source)
    data = x.numpy()

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.samples = iter([{"x": sample[None]} for sample in data])

        def get_next(self) -> dict[str, np.ndarray] | None:
            return next(self.samples, None)

    activation, weight, per_channel = VARIANTS[variant]
    logging.disable(logging.CRITICAL)
    try:
        quant_pre_process(str(source), str(source))
        quantization.quantize_static(
            str(source),
            str(target),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=getattr(quantization.QuantType, activation),
            weight_type=getattr(quantization.QuantType, weight),
            per_channel=per_channel,
        )
    finally:
        logging.disable(logging.NOTSET)
    return target, data


def run_onnx(path: Path, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options)
    return np.concatenate([session.run(None, {"x": sample[None]})[0] for sample in x])


def close(result: np.ndarray, wanted: np.ndarray, step: float, most: float) -> None:
    error = np.abs(result.reshape(wanted.shape) - wanted) / step
    assert error.max() <= most + 0.01, f"{error.max()} units"


def one_step(graph: Graph) -> float:
    return integerize(graph).outputs[0].type.quantization.scale[0]


@pytest.mark.parametrize("variant", sorted(VARIANTS))
@pytest.mark.parametrize(
    ("name", "opset"),
    [("mobile", 13), ("mobile", 21), ("signal", 17), ("dense", 17), ("shuffle", 13)],
)
def test_agrees_with_onnxruntime(name: str, opset: int, variant: str, tmp_path: Path) -> None:
    path, x = quantized(name, variant, opset, tmp_path)
    graph = load_model(path)
    wanted = run_onnx(path, x)
    # u8 weights have zero points that s8 cannot hold: quantized again, with a note.
    exact = variant != "u8u8"
    assert bool(graph.source.notes) is not exact
    close(float_output(graph, x), wanted, one_step(graph), 1 if exact else 3)
    close(integer_output(integer_graph(graph), x)[0], wanted, one_step(graph), 2 if exact else 4)


def test_pools_concatenation_and_softmax(tmp_path: Path) -> None:
    path, x = quantized("branch", "u8s8_per_channel", 17, tmp_path)
    graph = load_model(path)
    wanted = run_onnx(path, x)
    assert np.abs(float_output(graph, x) - wanted).max() <= 1 / 256
    result = integerize(graph)
    assert result.source.softmax is True
    logits, _ = integer_output(integer_graph(graph), x)
    exponentials = np.exp(logits)
    shares = exponentials / exponentials.sum(axis=-1, keepdims=True)
    assert np.abs(shares - wanted).max() < 0.02


def test_a_partly_quantized_model_names_the_gap_and_can_be_completed(tmp_path: Path) -> None:
    """onnxruntime leaves the division of the input by a constant unquantized."""
    path, x = quantized("preactivation", "s8s8_per_channel", 13, tmp_path)
    graph = load_model(path)
    with pytest.raises(ModelError, match="reads the input of the model without a quantize"):
        integerize(graph)
    samples = to_ours(x, graph.source.layout)
    completed = quantize_float(graph, samples)
    wanted = run_onnx(path, x)
    result, step = integer_output(integer_graph(completed), x)
    close(result, wanted, step, 4)


def test_completing_a_whole_model_changes_nothing(tmp_path: Path) -> None:
    path, x = quantized("mobile", "s8s8_per_channel", 13, tmp_path)
    graph = load_model(path)
    samples = to_ours(x, graph.source.layout)
    completed = quantize_float(graph, samples)
    assert [n.name for n in completed.nodes] == [n.name for n in graph.nodes]
