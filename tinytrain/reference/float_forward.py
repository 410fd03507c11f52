"""Evaluates a graph with f32 values in NumPy: for calibration, and to check what was imported.

The integers of `quantize` are exact: clamp(round_half_even(x / scale) + zero_point), with the
division in float32, as ONNX and docs/arithmetic.md define it. Everything else is ordinary floating
point, whose last bits depend on the order of summation.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference.windows import SlidingWindow

Arrays = list[np.ndarray]


def run_float(
    graph: Graph, inputs: Mapping[str, np.ndarray], *, dtype: type = np.float32
) -> dict[Value, np.ndarray]:
    """Evaluates every node.

    Args:
        graph: forward nodes with f32 values, `quantize` and `dequantize` included.
        inputs: by name, f32 [N, ...]: N samples where the type says 1, each on its own.
        dtype: of the arithmetic, np.float32 or np.float64; `dequantize` gives float32 in both.

    Returns:
        every value, activations with N samples.

    Raises:
        InternalError: a node that is no forward node.
    """
    known: dict[Value, np.ndarray] = {}
    for value in graph.inputs:
        known[value] = np.asarray(inputs[value.name], dtype=dtype)
    for value, data in (*graph.constants.items(), *graph.parameters.items()):
        known[value] = data.astype(dtype) if data.dtype == np.float32 else data
    for node in graph.nodes:
        rule = _RULES.get(node.op)
        if rule is None:
            raise InternalError(f"no floating-point evaluation of {node.op} ({node.name})")
        result = rule(node, [known[value] for value in node.inputs])
        if node.output.type.dtype is DType.F32:
            result = result.astype(dtype, copy=False)
        known[node.output] = result
    return known


def _scale(value: Value, rank: int) -> tuple[np.ndarray, int]:
    """Scales in a shape that broadcasts, and the zero point."""
    meaning = value.type.quantization
    assert meaning is not None
    scale = np.asarray(meaning.scale, dtype=np.float32)
    if meaning.axis is not None:
        shape = [1] * rank
        shape[meaning.axis] = scale.size
        scale = scale.reshape(shape)
    return scale, meaning.zero_point


def _quantize(node: Node, args: Arrays) -> np.ndarray:
    scale, zero_point = _scale(node.output, args[0].ndim)
    dtype = node.output.type.dtype
    low, high = dtype.limits
    # Beyond 2**30 every scale saturates; the bound keeps the sum below inside of int64.
    ratio = np.clip(args[0].astype(np.float32) / scale, -(2.0**30), 2.0**30)
    q = np.rint(ratio).astype(np.int64) + zero_point
    return np.asarray(np.clip(q, low, high), dtype=dtype.numpy)


def _dequantize(node: Node, args: Arrays) -> np.ndarray:
    scale, zero_point = _scale(node.inputs[0], args[0].ndim)
    # s32 biases do not fit the 24 bits of a float32: one rounding, at the end.
    real = (args[0].astype(np.float64) - zero_point) * scale.astype(np.float64)
    return real.astype(np.float32)


def _conv2d(node: Node, args: Arrays) -> np.ndarray:
    x, w, b = args
    attrs = node.attrs
    window = SlidingWindow(
        (w.shape[1], w.shape[2]), attrs["strides"], attrs["padding"], attrs["dilation"]
    )
    outputs = window.outputs(x.shape[1], x.shape[2])
    padded = window.pad(x)
    batch, groups = x.shape[0], attrs["groups"]
    out, k_h, k_w, per_group = w.shape
    if per_group == 1:
        sums = np.zeros((batch, *outputs, out), dtype=x.dtype)
        repeat = out // x.shape[3]
        for kh, kw, view in window.taps(padded, outputs):
            taps = np.repeat(view, repeat, axis=3) if repeat > 1 else view
            sums += taps * w[:, kh, kw, 0]
        return np.asarray(sums + b)
    positions = batch * outputs[0] * outputs[1]
    columns = np.empty((positions, k_h * k_w, groups, per_group), dtype=x.dtype)
    for kh, kw, view in window.taps(padded, outputs):
        columns[:, kh * k_w + kw] = view.reshape(positions, groups, per_group)
    left = columns.transpose(2, 0, 1, 3).reshape(groups, positions, -1)
    right = w.reshape(groups, out // groups, -1).transpose(0, 2, 1)
    sums = np.matmul(left, right).transpose(1, 0, 2).reshape(batch, *outputs, out)
    return np.asarray(sums + b)


def _dense(node: Node, args: Arrays) -> np.ndarray:
    x, w, b = args
    return np.asarray(x @ w.T + b)


def _avg_pool2d(node: Node, args: Arrays) -> np.ndarray:
    (x,) = args
    attrs = node.attrs
    window = SlidingWindow(attrs["window"], attrs["strides"], attrs["padding"])
    outputs = window.outputs(x.shape[1], x.shape[2])
    total = np.zeros((x.shape[0], *outputs, x.shape[3]), dtype=x.dtype)
    for _, _, view in window.taps(window.pad(x), outputs):
        total += view
    counts = window.counts(x.shape[1], x.shape[2], include_pad=attrs["count_include_pad"])
    return np.asarray(total / counts.astype(x.dtype))


def _max_pool2d(node: Node, args: Arrays) -> np.ndarray:
    (x,) = args
    attrs = node.attrs
    window = SlidingWindow(attrs["window"], attrs["strides"], attrs["padding"])
    outputs = window.outputs(x.shape[1], x.shape[2])
    best = np.full((x.shape[0], *outputs, x.shape[3]), -np.inf, dtype=x.dtype)
    for _, _, view in window.taps(window.pad(x, -np.inf), outputs):
        best = np.maximum(best, view)
    return best


def _activation(node: Node, args: Arrays) -> np.ndarray:
    (x,) = args
    alpha, beta = node.attrs["alpha"], node.attrs["beta"]
    curves: dict[str, Callable[[np.ndarray], Any]] = {
        "identity": lambda v: v,
        "relu": lambda v: np.maximum(v, 0),
        "relu6": lambda v: np.clip(v, 0, 6),
        "leaky_relu": lambda v: np.where(v >= 0, v, alpha * v),
        "hard_sigmoid": lambda v: np.clip(alpha * v + beta, 0, 1),
        "hard_swish": lambda v: v * np.clip(v + 3, 0, 6) / 6,
        "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
        "tanh": np.tanh,
    }
    with np.errstate(over="ignore"):
        return np.asarray(curves[node.attrs["function"]](x))


def _softmax(node: Node, args: Arrays) -> np.ndarray:
    shifted = np.exp(args[0] - args[0].max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


def _reshape(node: Node, args: Arrays) -> np.ndarray:
    shape = node.output.type.shape
    # The leading 1 of the type stands for the samples.
    if args[0].size != node.output.type.size:
        return args[0].reshape(-1, *shape[1:])
    return args[0].reshape(shape)


_RULES: dict[str, Callable[[Node, Arrays], np.ndarray]] = {
    "quantize": _quantize,
    "dequantize": _dequantize,
    "conv2d": _conv2d,
    "dense": _dense,
    "add": lambda node, args: args[0] + args[1],
    "multiply": lambda node, args: args[0] * args[1],
    "concatenate": lambda node, args: np.concatenate(args, axis=node.attrs["axis"]),
    "avg_pool2d": _avg_pool2d,
    "max_pool2d": _max_pool2d,
    "activation": _activation,
    "softmax": _softmax,
    "reshape": _reshape,
    "transpose": lambda node, args: args[0].transpose(node.attrs["axes"]),
}
