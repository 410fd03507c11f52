"""What the reference computes element by element, on integers and in floating point."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference import activations, elementwise
from tinytrain.reference.evaluation import Arrays, evaluates, float_form
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.machine import MachineState

Sum = Callable[[Value, Value, Value], tuple[tuple[int, int], int]]
"""From both operands and the result to the factors of the operands, and their shift."""


def _sum(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray, make: Sum) -> np.ndarray:
    left, right = node.inputs
    factors, shift = machine.table(node, lambda: make(left, right, node.output))
    zeros = zero_of(left), zero_of(right)
    clamp = node.attrs["clamp"]
    return elementwise.add(a, b, *zeros, factors, shift, zero_of(node.output), clamp)


@evaluates("add")
def _add(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _sum(machine, node, a, b, elementwise.add_factors)


@evaluates("subtract")
def _subtract(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return _sum(machine, node, a, b, elementwise.subtract_factors)


@evaluates("multiply")
def _multiply(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    left, right = node.inputs
    m, s = machine.table(node, lambda: elementwise.multiply_requant(left, right, node.output))
    zeros = zero_of(left), zero_of(right)
    return elementwise.multiply(a, b, *zeros, m[0], s[0], zero_of(node.output), node.attrs["clamp"])


@float_form("add")
def _add_f32(node: Node, args: Arrays) -> np.ndarray:
    return np.asarray(args[0] + args[1])


@float_form("subtract")
def _subtract_f32(node: Node, args: Arrays) -> np.ndarray:
    return np.asarray(args[0] - args[1])


@float_form("multiply")
def _multiply_f32(node: Node, args: Arrays) -> np.ndarray:
    return np.asarray(args[0] * args[1])


@evaluates("activation")
def _activation(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    return elementwise.lookup(machine.table(node, lambda: activations.activation_table(node)), x)


@float_form("activation")
def _activation_f32(node: Node, args: Arrays) -> np.ndarray:
    return activations.curve(node, args[0])


@evaluates("clamp_mask")
def _clamp_mask(machine: MachineState, node: Node, y: np.ndarray) -> np.ndarray:
    return elementwise.clamp_mask(y, node.attrs["clamp"])


@evaluates("grad_clamp")
def _grad_clamp(machine: MachineState, node: Node, g: np.ndarray, y: np.ndarray) -> np.ndarray:
    if node.inputs[1].type.dtype is DType.BIT:
        return elementwise.grad_clamp_mask(g, y)
    return elementwise.grad_clamp(g, y, node.attrs["clamp"])


@evaluates("grad_add")
def _grad_add(machine: MachineState, node: Node, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    exponents = [machine.exponent(value) for value in node.inputs]
    sums, exponent = elementwise.grad_add(a, b, *exponents)
    return machine.rescale(node, sums, 8, exponent)


@evaluates("negate")
def _negate(machine: MachineState, node: Node, g: np.ndarray) -> np.ndarray:
    return elementwise.negate(g)


@evaluates("activation_grad")
def _activation_grad(machine: MachineState, node: Node, g: np.ndarray, x: np.ndarray) -> np.ndarray:
    table, shift = machine.table(node, lambda: _slopes(node))
    sums = elementwise.lookup_grad(g, x, table, shift)
    return machine.rescale(node, sums, shift, machine.exponent(node.inputs[0]))


def _slopes(node: Node) -> tuple[np.ndarray, int]:
    return activations.activation_grad_table(node), activations.slope_shift(node)


@evaluates("multiply_grad")
def _multiply_grad(
    machine: MachineState, node: Node, g: np.ndarray, other: np.ndarray
) -> np.ndarray:
    upstream, factor = node.inputs
    mu, k = elementwise.multiply_mu(factor)
    sums = elementwise.multiply_grad(g, other, zero_of(factor), mu, scale_of(factor))
    return machine.rescale(node, sums, k, machine.exponent(upstream), wide=True)


@evaluates("multiply_grad_broadcast")
def _multiply_grad_broadcast(
    machine: MachineState, node: Node, g: np.ndarray, other: np.ndarray
) -> np.ndarray:
    upstream, factor = node.inputs
    mu, k = elementwise.multiply_mu(factor)
    wanted = node.output.type
    sums = elementwise.multiply_grad_broadcast(
        g,
        other,
        zero_of(factor),
        mu,
        scale_of(factor),
        per_channel=wanted.size == upstream.type.shape[-1],
    ).reshape(wanted.shape)
    return machine.rescale(node, sums, k, machine.exponent(upstream), wide=True)
