"""What the reference computes where a gradient is applied: docs/arithmetic.md section 6."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tinytrain.ir.graph import Node, Value
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType
from tinytrain.reference import lowering, update
from tinytrain.reference.evaluate_convolution import bias_grad, conv2d_grad_weight
from tinytrain.reference.evaluation import Result, evaluates
from tinytrain.reference.machine import MachineState


def _delta(
    machine: MachineState, node: Node, sums: np.ndarray, trained: Value, positions: int, g: DType
) -> np.ndarray:
    rates = machine.table(node, lambda: lowering.update_rates(node.attrs, trained, positions, g))
    is_random = Rounding(node.attrs["rule"]).is_random
    step = replace(machine.step, rate=1.0) if node.attrs.get("unit_rate") else machine.step
    r = update.rounding(step, machine.index(node), sums.shape, is_random=is_random)
    if g is DType.F32:
        return update.deltas_f32(sums, rates.real, step, r)
    name = node.attrs["exponent"]
    exponent = machine.scales[name].exponent if name in machine.scales else 0
    return update.deltas(sums, rates.multiplier, rates.shift, step, exponent, rates.sum_shift, r)


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
    sums = conv2d_grad_weight(machine, node, x, g)
    d = _delta(machine, node, sums, trained, positions, upstream.type.dtype)
    machine.count_update(node, sums, d)
    w, fraction = update.apply_weights(w, fraction, node.attrs["fraction_bits"], d)
    return w if fraction is None else (w, fraction)


@evaluates("bias_grad_sgd")
def _bias_grad_sgd(machine: MachineState, node: Node, g: np.ndarray, b: np.ndarray) -> np.ndarray:
    upstream, trained = node.inputs
    positions = upstream.type.size // upstream.type.shape[-1]
    sums = bias_grad(machine, node, g)
    d = _delta(machine, node, sums, trained, positions, upstream.type.dtype)
    machine.count_update(node, sums, d)
    return update.apply_bias(b, d)
