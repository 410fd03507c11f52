"""What the reference computes for pooling, on integers and in floating point."""

from __future__ import annotations

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.reference import pooling
from tinytrain.reference.evaluation import (
    Arrays,
    Result,
    evaluates,
    factors_of,
    float_form,
    pool_geometry,
)
from tinytrain.reference.lowering import zero_of
from tinytrain.reference.machine import MachineState
from tinytrain.reference.windows import SlidingWindow


@evaluates("avg_pool2d")
def _avg_pool2d(machine: MachineState, node: Node, x: np.ndarray) -> np.ndarray:
    m, s = machine.table(node, lambda: pooling.avg_pool_requant(node) or (None, None))
    return pooling.avg_pool2d(
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
    return pooling.max_pool2d(x, attrs["window"], attrs["clamp"], **pool_geometry(node))


@float_form("avg_pool2d")
def _avg_pool2d_f32(node: Node, args: Arrays) -> np.ndarray:
    (x,) = args
    attrs = node.attrs
    window = SlidingWindow(attrs["window"], attrs["strides"], attrs["padding"])
    outputs = window.outputs(x.shape[1], x.shape[2])
    total = np.zeros((x.shape[0], *outputs, x.shape[3]), dtype=x.dtype)
    for _, _, view in window.taps(window.pad(x), outputs):
        total += view
    counts = window.counts(x.shape[1], x.shape[2], include_pad=attrs["count_include_pad"])
    return np.asarray(total / counts.astype(x.dtype))


@float_form("max_pool2d")
def _max_pool2d_f32(node: Node, args: Arrays) -> np.ndarray:
    (x,) = args
    attrs = node.attrs
    window = SlidingWindow(attrs["window"], attrs["strides"], attrs["padding"])
    outputs = window.outputs(x.shape[1], x.shape[2])
    best = np.full((x.shape[0], *outputs, x.shape[3]), -np.inf, dtype=x.dtype)
    for _, _, view in window.taps(window.pad(x, -np.inf), outputs):
        best = np.maximum(best, view)
    return best


@evaluates("avg_pool2d_grad")
def _avg_pool2d_grad(machine: MachineState, node: Node, g: np.ndarray) -> np.ndarray:
    m, c = factors_of(machine, node, lambda: pooling.avg_pool_factors(node))
    sums = pooling.avg_pool2d_grad(
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
    sums = pooling.max_pool2d_grad(g, winner, shape, window, **pool_geometry(node))
    return machine.rescale(node, sums, 0, machine.exponent(node.inputs[0]))
