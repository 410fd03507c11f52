"""Small ONNX models to make mistakes with."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CLASSES = 4
SHAPE = (1, 3, 6, 6)
LAYERS = ("conv_0", "conv_1", "dense_0")
"""What `quantized_model` calls its layers; the last one is the head."""


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    constants: dict[str, np.ndarray | onnx.TensorProto],
    *,
    inputs: dict[str, Sequence[int | str]] | None = None,
    input_type: int = TensorProto.FLOAT,
    outputs: Sequence[str] = ("y",),
    opset: int = 17,
) -> Path:
    """Writes a model as it is, however wrong."""
    held = [
        data if isinstance(data, onnx.TensorProto) else numpy_helper.from_array(data, name)
        for name, data in constants.items()
    ]
    given = inputs or {"x": SHAPE}
    graph = helper.make_graph(
        list(nodes),
        "g",
        [helper.make_tensor_value_info(name, input_type, shape) for name, shape in given.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        held,
    )
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("me", 1)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def conv_weights() -> np.ndarray:
    """Kernel [4, 3, 3, 3]."""
    return np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)


def conv(source: str = "x", result: str = "y", **attributes: object) -> onnx.NodeProto:
    """The convolution `my_conv` with the weights `w`."""
    return helper.make_node("Conv", [source, "w"], [result], name="my_conv", **attributes)


def float_model(path: Path) -> Path:
    """A convolution, a ReLU and a classifier of `CLASSES`, nothing quantized."""
    rng = np.random.default_rng(1)
    nodes = [
        conv(result="a"),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("GlobalAveragePool", ["b"], ["c"]),
        helper.make_node("Flatten", ["c"], ["d"]),
        helper.make_node("MatMul", ["d", "v"], ["y"]),
    ]
    head = rng.standard_normal((4, CLASSES)).astype(np.float32)
    return save(path, nodes, {"w": conv_weights(), "v": head})


def quantized_model(
    path: Path,
    *,
    scale: float = 0.05,
    shape: tuple[int, ...] = SHAPE,
    seed: int = 0,
    classes: int = CLASSES,
    input_scale: float | None = None,
    input_zero: int = 0,
) -> Path:
    """Two convolutions and a classifier, all quantized.

    Args:
        scale: of every activation.
        shape: of the input.
        seed: of the weights.
        classes: outputs.
        input_scale, input_zero: of the input, where they are not those of every activation.
    """
    rng = np.random.default_rng(seed)
    constants: dict[str, np.ndarray] = {
        "s": np.float32(scale),
        "z": np.int8(0),
        "ws": np.float32(0.02),
    }
    if input_scale is not None:
        constants |= {"xs": np.float32(input_scale), "xz": np.int8(input_zero)}
    nodes: list[onnx.NodeProto] = []

    def add(op: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def quantized(source: str, *meaning: str) -> str:
        given = meaning or ("s", "z")
        return add("DequantizeLinear", add("QuantizeLinear", source, *given), *given)

    def weights(name: str, *shape: int) -> str:
        constants[name] = rng.integers(-127, 128, shape).astype(np.int8)
        return add("DequantizeLinear", name, "ws", "z")

    x = quantized("x", *(() if input_scale is None else ("xs", "xz")))
    x = add("Conv", x, weights("w0", 6, 3, 3, 3), pads=[1, 1, 1, 1])
    x = quantized(add("Relu", x))
    x = quantized(add("Conv", x, weights("w1", 5, 6, 1, 1)))
    x = quantized(add("GlobalAveragePool", x))
    x = add("Flatten", x)
    x = quantized(add("Gemm", x, weights("w2", classes, 5), transB=1))
    return save(path, nodes, constants, inputs={"x": shape}, outputs=(x,))
