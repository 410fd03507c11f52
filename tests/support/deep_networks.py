"""Quantized networks of any depth whose activations and gradients keep their size."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

from tests.support.onnx_models import save
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import select_trainable, to_integers, training
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner

_DEVIATION = 73.0  # of a uniform s8


def residual_model(
    path: Path, blocks: int, *, width: int = 8, wide: int = 0, size: int = 4, classes: int = 4
) -> Path:
    """Writes an int8 ONNX model: a layer, so many residual blocks, a classifier.

    Args:
        width: channels of the maps between blocks.
        wide: channels inside an inverted bottleneck; 0 for a block of two plain layers.
        size: rows and columns of the input, which has 3 channels.
    """
    rng = np.random.default_rng(blocks)
    constants: dict[str, np.ndarray] = {"s": np.float32(0.03), "z": np.int8(0)}
    nodes: list[onnx.NodeProto] = []

    def add(op: str, *inputs: str, **attributes: object) -> str:
        name = f"t{len(nodes)}"
        nodes.append(helper.make_node(op, list(inputs), [name], name=name, **attributes))
        return name

    def quantized(source: str) -> str:
        return add("DequantizeLinear", add("QuantizeLinear", source, "s", "z"), "s", "z")

    def weights(*shape: int, gain: float) -> str:
        name = f"w{len(constants)}"
        constants[name] = rng.integers(-127, 128, shape).astype(np.int8)
        scale = gain / (_DEVIATION * float(np.sqrt(np.prod(shape[1:]))))
        constants[f"{name}_s"] = np.float32(scale)
        return add("DequantizeLinear", name, f"{name}_s", "z")

    def conv(x: str, shape: tuple[int, ...], gain: float, group: int = 1) -> str:
        pad = shape[2] // 2
        return add("Conv", x, weights(*shape, gain=gain), pads=[pad] * 4, group=group)

    def relu(x: str) -> str:
        return quantized(add("Relu", x))

    def branch(x: str) -> str:
        if not wide:
            x = relu(conv(x, (width, width, 3, 3), 1.4))
            return conv(x, (width, width, 3, 3), 0.2)
        x = relu(conv(x, (wide, width, 1, 1), 1.4))
        x = relu(conv(x, (wide, 1, 3, 3), 1.4, group=wide))
        return conv(x, (width, wide, 1, 1), 0.2)

    x = relu(conv(quantized("x"), (width, 3, 3, 3), 1.0))
    for _ in range(blocks):
        x = quantized(add("Add", x, quantized(branch(x))))
    x = quantized(add("GlobalAveragePool", x))
    x = add("Flatten", x, axis=1)
    head = add("Transpose", weights(classes, width, gain=1.0), perm=[1, 0])
    add("QuantizeLinear", add("MatMul", x, head), "s", "z")
    last = add("DequantizeLinear", f"t{len(nodes) - 1}", "s", "z")
    return save(path, nodes, constants, inputs={"x": (1, 3, size, size)}, outputs=(last,))


def residual_forward(folder: Path, blocks: int) -> Graph:
    """The s8 forward graph of `residual_model`."""
    model = load_model(residual_model(folder / f"residual_{blocks}.onnx", blocks))
    return to_integers(model, None, Options(), Runner())


def residual_step(folder: Path, blocks: int, gradient: str = "s8") -> Graph:
    """Its training step, scheduled but not planned, all of it trained."""
    options, runner = Options(gradient=gradient), Runner()
    graph, scheme = select_trainable(residual_forward(folder, blocks), options, runner)
    return runner.run(graph, training(options, scheme))
