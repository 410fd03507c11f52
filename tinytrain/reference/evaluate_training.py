"""Evaluations of loss, gradients and updates: docs/arithmetic.md sections 3, 4 and 6."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference import gradients, loss, lowering, update
from tinytrain.reference.evaluation import Result, conv_geometry, evaluates, pool_geometry
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.machine import MachineState

# ---- loss ----------------------------------------------------------------------------------------


@evaluates("softmax_cross_entropy")
def _cross_entropy(
    machine: MachineState, node: Node, logits: np.ndarray, label: np.ndarray
) -> Result:
    index, smoothing = int(label.ravel()[0]), node.attrs.get("smoothing", 0.0)
    if smoothing:
        value, slope = loss.smoothed_cross_entropy(logits, index, smoothing)
    else:
        value, slope = loss.softmax_cross_entropy(logits, index)
    return np.array([value], np.float32), slope


@evaluates("mean_squared_error")
def _mean_squared_error(
    machine: MachineState, node: Node, y: np.ndarray, target: np.ndarray
) -> Result:
    value, slope = loss.mean_squared_error(y, target)
    return np.array([value], np.float32), slope


@evaluates("quantize_gradient")
def _quantize_gradient(machine: MachineState, node: Node, slope: np.ndarray) -> np.ndarray:
    g, n, machine.active = gradients.quantize_gradient(slope, node.output.type.dtype.numpy)
    machine.step = replace(machine.step, normaliser=n)
    return g


# ---- gradients -----------------------------------------------------------------------------------


@evaluates("grad_clamp")
def _grad_clamp(machine: MachineState, node: Node, g: np.ndarray, y: np.ndarray) -> np.ndarray:
    if node.inputs[1].type.dtype is DType.BIT:
        return gradients.grad_clamp_mask(g, y)
    return gradients.grad_clamp(g, y, node.attrs["clamp"])


@evaluates("grad_add")
def _grad_add(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    exponents = [machine.exponent(value) for value in node.inputs]
    sums, exponent = gradients.grad_add(a, b, *exponents)
    return machine.rescale(node, sums, 8, exponent)


def _factors(
    machine: MachineState, node: Node, make: Callable[[], lowering.Factors]
) -> tuple[np.ndarray, int]:
    found = machine.table(node, make)
    is_real = node.inputs[0].type.dtype is DType.F32
    return (found.real if is_real else found.integer), found.shift


@evaluates("conv2d_grad_input")
def _conv2d_grad_input(
    machine: MachineState, node: Node, g: np.ndarray, w: np.ndarray
) -> np.ndarray:
    upstream, weights = node.inputs
    groups, dtype = node.attrs["groups"], upstream.type.dtype
    m, c = _factors(machine, node, lambda: lowering.conv_factors(weights, groups, dtype))
    shape = node.attrs["input_shape"]
    sums = gradients.conv2d_grad_input(g, w, m, shape, **conv_geometry(node))
    return machine.rescale(node, sums, c, machine.exponent(upstream))


@evaluates("avg_pool2d_grad")
def _avg_pool2d_grad(machine: MachineState, node: Node, g: np.ndarray) -> np.ndarray:
    m, c = _factors(machine, node, lambda: lowering.avg_pool_factors(node))
    sums = gradients.avg_pool2d_grad(
        g,
        m,
        node.attrs["input_shape"],
        node.attrs["window"],
        **pool_geometry(node),
        count_include_pad=node.attrs["count_include_pad"],
    )
    return machine.rescale(node, sums, c, machine.exponent(node.inputs[0]))


@evaluates("max_pool2d_grad")
def _max_pool2d_grad(
    machine: MachineState, node: Node, g: np.ndarray, winner: np.ndarray
) -> np.ndarray:
    shape, window = node.attrs["input_shape"], node.attrs["window"]
    sums = gradients.max_pool2d_grad(g, winner, shape, window, **pool_geometry(node))
    return machine.rescale(node, sums, 0, machine.exponent(node.inputs[0]))


@evaluates("activation_grad")
def _activation_grad(machine: MachineState, node: Node, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    table = machine.table(node, lambda: lowering.activation_grad_table(node))
    sums = gradients.lookup_grad(g, x, table)
    return machine.rescale(node, sums, lowering.SLOPE_SHIFT, machine.exponent(node.inputs[0]))


@evaluates("multiply_grad")
def _multiply_grad(
    machine: MachineState, node: Node, g: np.ndarray, other: np.ndarray
) -> np.ndarray:
    upstream, factor = node.inputs
    mu, k = lowering.multiply_mu(factor)
    sums = gradients.multiply_grad(g, other, zero_of(factor), mu, scale_of(factor))
    return machine.rescale(node, sums, k, machine.exponent(upstream), wide=True)


@evaluates("multiply_grad_broadcast")
def _multiply_grad_broadcast(
    machine: MachineState, node: Node, g: np.ndarray, other: np.ndarray
) -> np.ndarray:
    upstream, factor = node.inputs
    mu, k = lowering.multiply_mu(factor)
    wanted = node.output.type
    sums = gradients.multiply_grad_broadcast(
        g,
        other,
        zero_of(factor),
        mu,
        scale_of(factor),
        per_channel=wanted.size == upstream.type.shape[-1],
    ).reshape(wanted.shape)
    return machine.rescale(node, sums, k, machine.exponent(upstream), wide=True)


@evaluates("conv2d_grad_weight")
def _conv2d_grad_weight(
    machine: MachineState, node: Node, x: np.ndarray, g: np.ndarray
) -> np.ndarray:
    zero, kernel = zero_of(node.inputs[0]), node.attrs["kernel"]
    return gradients.conv2d_grad_weight(x, g, zero, kernel, **conv_geometry(node))


@evaluates("bias_grad")
def _bias_grad(machine: MachineState, node: Node, g: np.ndarray) -> np.ndarray:
    return gradients.bias_grad(g)


# ---- updates -------------------------------------------------------------------------------------


def _delta(
    machine: MachineState, node: Node, sums: np.ndarray, trained: Value, positions: int, g: DType
) -> np.ndarray:
    rates = machine.table(node, lambda: lowering.update_rates(node.attrs, trained, positions, g))
    stochastic = node.attrs["rule"] == "stochastic"
    r = update.rounding(machine.step, machine.index(node), sums.shape, stochastic=stochastic)
    if g is DType.F32:
        return update.deltas_f32(sums, rates.real, machine.step, r)
    name = node.attrs["exponent"]
    exponent = machine.scales[name].exponent if name in machine.scales else 0
    return update.deltas(
        sums, rates.multiplier, rates.shift, machine.step, exponent, rates.sum_shift, r
    )


@evaluates("conv2d_grad_weight_sgd")
def _conv2d_grad_weight_sgd(
    machine: MachineState,
    node: Node,
    x: np.ndarray,
    g: np.ndarray,
    w: np.ndarray,
    fraction: np.ndarray | None = None,
) -> Result:
    _, upstream, trained = node.inputs[:3]
    positions = upstream.type.shape[1] * upstream.type.shape[2]
    sums = _conv2d_grad_weight(machine, node, x, g)
    d = _delta(machine, node, sums, trained, positions, upstream.type.dtype)
    machine.count_update(node, sums, d)
    w, fraction = update.apply_weights(w, fraction, node.attrs["fraction_bits"], d)
    return w if fraction is None else (w, fraction)


@evaluates("bias_grad_sgd")
def _bias_grad_sgd(machine: MachineState, node: Node, g: np.ndarray, b: np.ndarray) -> np.ndarray:
    upstream, trained = node.inputs
    positions = upstream.type.size // upstream.type.shape[-1]
    sums = _bias_grad(machine, node, g)
    d = _delta(machine, node, sums, trained, positions, upstream.type.dtype)
    machine.count_update(node, sums, d)
    return update.apply_bias(b, d)
