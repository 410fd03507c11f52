"""What the reference computes for convolutions, on integers and in floating point."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType
from tinytrain.reference import convolution
from tinytrain.reference.evaluation import (
    Arrays,
    conv_geometry,
    evaluates,
    factors_of,
    float_form,
)
from tinytrain.reference.follow import probe_requant
from tinytrain.reference.lowering import zero_of
from tinytrain.reference.machine import MachineState
from tinytrain.reference.windows import SlidingWindow


@evaluates("conv2d")
def _conv2d(
    machine: MachineState, node: Node, x: np.ndarray, w: np.ndarray, b: np.ndarray
) -> np.ndarray:
    geometry, zero, y = conv_geometry(node), zero_of(node.inputs[0]), node.output
    if y.type.dtype is DType.S32:
        return convolution.conv2d_s32(x, w, b, zero, **geometry).astype(np.int32)
    m, s = machine.table(node, lambda: convolution.conv_requant(node.inputs[0], node.inputs[1], y))
    if "follow" in node.attrs:
        state = machine.followed[node.layer]
        if machine.follows:
            its = state.channels
            state.observe(probed(node, its.unit, its.probe_bias, x, w))
        m, b = state.multiplier, state.bias
    return convolution.conv2d(x, w, b, zero, m, s, zero_of(y), node.attrs["clamp"], **geometry)


def probed(
    node: Node, unit: np.ndarray, bias: np.ndarray, x: np.ndarray, w: np.ndarray
) -> np.ndarray:
    """The output of the probe of a convolution that is followed; unit, bias: of its channels."""
    m, s = probe_requant(unit)
    zero, geometry = zero_of(node.inputs[0]), conv_geometry(node)
    return convolution.conv2d(x, w, bias, zero, m, s, 0, (-128, 127), **geometry)


@float_form("conv2d")
def _conv2d_f32(node: Node, args: Arrays) -> np.ndarray:
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


@float_form("dense")
def _dense_f32(node: Node, args: Arrays) -> np.ndarray:
    x, w, b = args
    return np.asarray(x @ w.T + b)


@evaluates("rescale_bias")
def _rescale_bias(machine: MachineState, node: Node, b: np.ndarray) -> np.ndarray:
    m, s = machine.table(node, lambda: convolution.bias_requant(node.inputs[0], node.output))
    return convolution.rescale_bias(b, m, s)


@evaluates("conv2d_grad_input")
def _conv2d_grad_input(
    machine: MachineState, node: Node, g: np.ndarray, w: np.ndarray
) -> np.ndarray:
    upstream, weights = node.inputs
    groups, dtype = node.attrs["groups"], upstream.type.dtype
    m, c = factors_of(machine, node, lambda: convolution.conv_factors(weights, groups, dtype))
    shape = node.attrs["input_shape"]
    sums = convolution.conv2d_grad_input(g, w, m, shape, **conv_geometry(node))
    return machine.rescale(node, sums, c, machine.exponent(upstream))


@evaluates("conv2d_grad_weight")
def conv2d_grad_weight(
    machine: MachineState, node: Node, x: np.ndarray, g: np.ndarray
) -> np.ndarray:
    zero, kernel = zero_of(node.inputs[0]), node.attrs["kernel"]
    return convolution.conv2d_grad_weight(x, g, zero, kernel, **conv_geometry(node))


@evaluates("bias_grad")
def bias_grad(machine: MachineState, node: Node, g: np.ndarray) -> np.ndarray:
    return convolution.bias_grad(g)
