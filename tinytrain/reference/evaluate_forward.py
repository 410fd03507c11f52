"""Evaluations of the forward operations: docs/arithmetic.md section 2."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType
from tinytrain.reference import forward, lowering
from tinytrain.reference.evaluation import Result, conv_geometry, evaluates, pool_geometry
from tinytrain.reference.lowering import zero_of
from tinytrain.reference.machine import MachineState


@evaluates("conv2d")
def _conv2d(
    machine: MachineState, node: Node, x: np.ndarray, w: np.ndarray, b: np.ndarray
) -> np.ndarray:
    geometry, zero, y = conv_geometry(node), zero_of(node.inputs[0]), node.output
    if y.type.dtype is DType.S32:
        return forward.conv2d_s32(x, w, b, zero, **geometry).astype(np.int32)
    m, s = machine.table(node, lambda: lowering.conv_requant(node.inputs[0], node.inputs[1], y))
    return forward.conv2d(x, w, b, zero, m, s, zero_of(y), node.attrs["clamp"], **geometry)


@evaluates("add")
def _add(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left, right = node.inputs
    factors, shift = machine.table(node, lambda: lowering.add_factors(left, right, node.output))
    zeros = zero_of(left), zero_of(right)
    clamp = node.attrs["clamp"]
    return forward.add(a, b, *zeros, factors, shift, zero_of(node.output), clamp)


@evaluates("multiply")
def _multiply(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left, right = node.inputs
    m, s = machine.table(node, lambda: lowering.multiply_requant(left, right, node.output))
    zeros = zero_of(left), zero_of(right)
    return forward.multiply(a, b, *zeros, m[0], s[0], zero_of(node.output), node.attrs["clamp"])


@evaluates("avg_pool2d")
def _avg_pool2d(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    m, s = machine.table(node, lambda: lowering.avg_pool_requant(node) or (None, None))
    return forward.avg_pool2d(
        x,
        zero_of(node.inputs[0]),
        node.attrs["window"],
        node.attrs["clamp"],
        **pool_geometry(node),
        count_include_pad=node.attrs["count_include_pad"],
        multiplier=m,
        shift=s,
        zero=zero_of(node.output),
    )


@evaluates("max_pool2d")
def _max_pool2d(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return _max_pool2d_winner(machine, node, x)[0]


@evaluates("max_pool2d_winner")
def _max_pool2d_winner(machine: MachineState, node: Node, x: np.ndarray) -> Result:
    attrs = node.attrs
    return forward.max_pool2d(x, attrs["window"], attrs["clamp"], **pool_geometry(node))


@evaluates("activation")
def _activation(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return forward.lookup(machine.table(node, lambda: lowering.activation_table(node)), x)


@evaluates("concatenate")
def _concatenate(machine: MachineState, node: Node, *parts: np.ndarray) -> np.ndarray:
    return np.concatenate(parts, axis=node.attrs["axis"])


@evaluates("reshape")
def _reshape(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return x.reshape(node.output.type.shape)


@evaluates("transpose")
def _transpose(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return forward.transpose(x, node.attrs["axes"])


@evaluates("dequantize")
def _dequantize(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    q = lowering.quantization(node.inputs[0])
    return forward.dequantize(x, q.zero_point, np.asarray(q.scale, np.float32))


@evaluates("clamp_mask")
def _clamp_mask(machine: MachineState, node: Node, y: np.ndarray) -> np.ndarray:
    return forward.clamp_mask(y, node.attrs["clamp"])


@evaluates("gather_channels")
def _gather_channels(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return forward.gather_channels(x, node.attrs["channels"])


@evaluates("slice")
def _slice(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    start = node.attrs["start"]
    indices = range(start, start + node.attrs["size"])
    return np.take(x, indices, axis=node.attrs["axis"])


@evaluates("merge_channels")
def _merge_channels(
    machine: MachineState, node: Node, trained: np.ndarray, frozen: np.ndarray
) -> np.ndarray:
    axis, shape = node.attrs["axis"], node.output.type.shape
    merged = np.empty(shape, trained.dtype)
    chosen = np.zeros(shape[axis], bool)
    chosen[list(node.attrs["channels"])] = True
    view = np.moveaxis(merged, axis, 0)
    view[chosen] = np.moveaxis(trained, axis, 0)
    view[~chosen] = np.moveaxis(frozen, axis, 0)
    return merged
