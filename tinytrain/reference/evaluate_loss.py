"""What the reference computes from integers to a loss and to its gradient.

The integers of `quantize` are exact: clamp(round_half_even(x / scale) + zero_point), with the
division in float32, as ONNX and docs/arithmetic.md define it.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Node, Value
from tinytrain.reference import conversion, gradients, loss, lowering
from tinytrain.reference.class_weights import balanced_weight
from tinytrain.reference.evaluation import Arrays, Result, evaluates, float_form
from tinytrain.reference.machine import MachineState


@float_form("quantize")
def _quantize_f32(node: Node, args: Arrays) -> np.ndarray:
    scale, zero_point = _scale(node.output, args[0].ndim)
    dtype = node.output.type.dtype
    low, high = dtype.limits
    # Beyond 2**30 every scale saturates; the bound keeps the sum below inside of int64.
    ratio = np.clip(args[0].astype(np.float32) / scale, -(2.0**30), 2.0**30)
    q = np.rint(ratio).astype(np.int64) + zero_point
    return np.asarray(np.clip(q, low, high), dtype=dtype.numpy)


@float_form("dequantize")
def _dequantize_f32(node: Node, args: Arrays) -> np.ndarray:
    scale, zero_point = _scale(node.inputs[0], args[0].ndim)
    # s32 biases do not fit the 24 bits of a float32: one rounding, at the end.
    real = (args[0].astype(np.float64) - zero_point) * scale.astype(np.float64)
    return real.astype(np.float32)


@evaluates("dequantize")
def _dequantize(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    q = lowering.quantization(node.inputs[0])
    return conversion.dequantize(x, q.zero_point, np.asarray(q.scale, np.float32))


@float_form("softmax")
def _softmax_f32(node: Node, args: Arrays) -> np.ndarray:
    shifted = np.exp(args[0] - args[0].max(axis=-1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=-1, keepdims=True))


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


@evaluates("softmax_cross_entropy")
def _cross_entropy(
    machine: MachineState, node: Node, logits: np.ndarray, label: np.ndarray
) -> Result:
    index, smoothing = int(label.ravel()[0]), node.attrs.get("smoothing", 0.0)
    if smoothing:
        value, slope = loss.smoothed_cross_entropy(logits, index, smoothing)
    else:
        value, slope = loss.softmax_cross_entropy(logits, index)
    weight = _weight_of_label(machine, node, index)
    return np.array([value * weight], np.float32), slope * weight


def _weight_of_label(machine: MachineState, node: Node, label: int) -> np.float32:
    """Of a sample in the loss; 1 where the loss has no weights."""
    if machine.class_counts is not None:
        return balanced_weight(machine.class_counts, label)
    return np.float32(node.attrs["class_weights"][label] if "class_weights" in node.attrs else 1)


_OF_TARGETS = {
    "pixel_cross_entropy": loss.pixel_cross_entropy,
    "huber": loss.huber,
    "binary_cross_entropy": loss.binary_cross_entropy,
    "mean_squared_error": loss.mean_squared_error,
}
"""From an output and its target to the loss and its gradient."""

_WEIGHTED = {
    "pixel_cross_entropy": loss.weighted_pixel_cross_entropy,
    "binary_cross_entropy": loss.weighted_binary_cross_entropy,
}
"""The same, with weights."""


@evaluates("pixel_cross_entropy")
@evaluates("huber")
@evaluates("binary_cross_entropy")
@evaluates("mean_squared_error")
def _loss(machine: MachineState, node: Node, output: np.ndarray, target: np.ndarray) -> Result:
    if target.dtype == np.int32:
        value, slope = loss.binary_cross_entropy(output, target)
        weight = _weight_of_label(machine, node, int(target.ravel()[0]))
        return np.array([value * weight], np.float32), slope * weight
    if "class_weights" in node.attrs:
        weights = np.array(node.attrs["class_weights"], np.float32)
        value, slope = _WEIGHTED[node.op](output, target, weights)
    else:
        value, slope = _OF_TARGETS[node.op](output, target)
    return np.array([value], np.float32), slope


@evaluates("quantize_gradient")
def _quantize_gradient(machine: MachineState, node: Node, slope: np.ndarray) -> np.ndarray:
    g, n, machine.active = gradients.quantize_gradient(slope, node.output.type.dtype.numpy)
    machine.step = replace(machine.step, normaliser=n)
    return g
