"""A ReLU behind a concatenate is computed, whatever the zero point: no bound is ignored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from tests.support.imported import integer_graph, integer_output
from tinytrain.frontend import load_model


def symmetric_inception(path: Path, activation: str) -> None:
    """Two convolutions, joined, then ReLU, all at scale 0.05 and zero point 0."""
    rng = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []

    def constant(name: str, data: np.ndarray) -> str:
        constants.append(onnx.numpy_helper.from_array(data, name))
        return name

    scale = constant("scale", np.float32(0.05))
    zero = constant("zero", np.int8(0))

    def requantized(x: str) -> str:
        nodes.append(helper.make_node("QuantizeLinear", [x, scale, zero], [f"{x}_q"]))
        nodes.append(helper.make_node("DequantizeLinear", [f"{x}_q", scale, zero], [f"{x}_d"]))
        return f"{x}_d"

    def conv(x: str, name: str, shape: tuple[int, ...]) -> str:
        w = constant(f"{name}_w", rng.integers(-127, 128, shape).astype(np.int8))
        s = constant(f"{name}_s", np.float32(0.004))
        nodes.append(helper.make_node("DequantizeLinear", [w, s, zero], [f"{name}_wd"]))
        nodes.append(helper.make_node("Conv", [x, f"{name}_wd"], [name]))
        return requantized(name)

    x = requantized("x")
    nodes.append(
        helper.make_node(
            "Concat", [conv(x, "a", (4, 3, 1, 1)), conv(x, "b", (4, 3, 1, 1))], ["j"], axis=1
        )
    )
    bounds = [constant("low", np.float32(0)), constant("high", np.float32(6))]
    inputs = ["j"] if activation == "Relu" else ["j", *bounds]
    nodes.append(helper.make_node(activation, inputs, ["r"]))
    y = conv(requantized("r"), "c", (5, 8, 1, 1))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 4, 4])],
        [helper.make_tensor_value_info(y, TensorProto.FLOAT, [1, 5, 4, 4])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def test_relu_behind_a_concatenate(tmp_path: Path) -> None:
    for activation in ("Relu", "Clip"):
        path = tmp_path / f"{activation}.onnx"
        symmetric_inception(path, activation)
        graph = integer_graph(load_model(path))
        x = np.random.default_rng(1).normal(0, 2.5, (1, 3, 4, 4)).astype(np.float32)
        # As written, in float: fused to integers, it saturates pairs of products on processors
        # without VNNI.
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        session = onnxruntime.InferenceSession(
            str(path), options, providers=["CPUExecutionProvider"]
        )
        (wanted,) = session.run(None, {"x": x})
        real, _ = integer_output(graph, x)
        found = real.reshape(1, 4, 4, 5).transpose(0, 3, 1, 2)
        # Each of the two layers may differ by one unit, which the second one's weights spread.
        assert np.abs(found - wanted).max() <= 2 * 0.05 + 1e-6, activation
