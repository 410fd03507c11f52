"""What the reference computes for an L2 normalisation, on integers and in floating point."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.reference import normalize
from tinytrain.reference.evaluation import Arrays, evaluates, float_form
from tinytrain.reference.gradients import is_real, precision
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.machine import MachineState


@evaluates("l2_normalize")
def _l2_normalize(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return normalize.l2_normalize(x, zero_of(node.inputs[0]))


@float_form("l2_normalize")
def _l2_normalize_f32(node: Node, args: Arrays) -> np.ndarray:
    x = args[0]
    length = np.sqrt(np.sum(np.square(x), axis=-1, keepdims=True))
    return np.asarray(x / np.where(length > 0, length, length.dtype.type(1)))


@evaluates("l2_normalize_grad")
def _l2_normalize_grad(
    machine: MachineState, node: Node, g: np.ndarray, x: np.ndarray
) -> np.ndarray:
    upstream, forward = node.inputs
    inverse, k = normalize.inverse_square(scale_of(forward))
    sums = normalize.l2_normalize_grad(g, x, zero_of(forward), inverse, scale_of(forward))
    shift = 0 if is_real(g) else 22 - precision(g.dtype) + k
    return machine.rescale(node, sums, shift, machine.exponent(upstream), wide=True)
