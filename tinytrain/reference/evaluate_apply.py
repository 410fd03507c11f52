"""Evaluations of what applies a velocity: docs/arithmetic.md section 6."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinytrain.ir.graph import Node
from tinytrain.ir.ops_update import VELOCITY_BITS, is_adam
from tinytrain.ir.rounding import Rounding
from tinytrain.ir.types import DType
from tinytrain.reference import adam, apply, lowering, update
from tinytrain.reference.evaluation import Result, evaluates
from tinytrain.reference.machine import MachineState


@evaluates("clip_factor")
def _clip_factor(machine: MachineState, node: Node, *velocities: np.ndarray) -> np.ndarray:
    if not machine.applies:
        return np.array([apply.ONE], np.int32)
    total = np.float32(0)
    known = dict(zip(node.inputs, velocities, strict=True))
    for value, units in lowering.velocity_units(node):
        whole = known[value].astype(np.int64)
        if value.type.dtype is DType.S8:
            below = known[node.inputs[node.inputs.index(value) + 1]]
            whole = update.whole(known[value], below, VELOCITY_BITS)
        total = np.float32(total + apply.squares(whole, units))
    limit = np.float32(machine.step.rate) * lowering.clip_limit(node, machine.accumulation_window)
    return np.array([apply.clip_factor(total, limit)], np.int32)


@evaluates("apply_weight")
def _apply_weight(machine: MachineState, node: Node, *inputs: np.ndarray) -> Result:
    if not machine.applies:
        return tuple(inputs[int(node.attrs["clip"]) :])
    attrs, bits = node.attrs, node.attrs["fraction_bits"]
    given = iter(inputs)
    factor = int(next(given)[0]) if attrs["clip"] else apply.ONE
    w = next(given)
    fraction = next(given) if bits else None
    whole = update.whole(w, fraction, bits)
    draws = _draws(machine, node, w.shape)
    moved: np.ndarray = np.zeros_like(whole)
    velocity: np.ndarray | None = None
    if attrs["velocity"]:
        high, low = given
        velocity = update.whole(high, low, VELOCITY_BITS)
        if attrs["clip"]:
            velocity = apply.clipped(velocity, factor, next(draws))
        cut = bits < 8
        moved = apply.moves(velocity, bits, next(draws) if cut else None)
    if attrs["decay"]:
        decay = float(lowering.accumulated_decay(node, machine.accumulation_window))
        moved = moved - apply.decays(whole, decay, machine.step, next(draws))
    new = update.split(whole + moved, bits)
    results = [new[0], *([new[1].reshape(fraction.shape)] if fraction is not None else [])]
    if velocity is not None:
        left = np.zeros_like(velocity)
        if attrs["momentum"]:
            left = apply.kept(velocity, attrs["momentum"], next(draws))
        results += update.split(left, VELOCITY_BITS)
    return tuple(results)


@evaluates("apply_bias")
def _apply_bias(machine: MachineState, node: Node, *inputs: np.ndarray) -> Result:
    b, velocity = (data.astype(np.int64) for data in inputs[-2:])
    if not machine.applies:
        return inputs[-2], inputs[-1]
    draws = _draws(machine, node, b.shape)
    if node.attrs["clip"]:
        velocity = apply.clipped(velocity, int(inputs[0][0]), next(draws))
    b = np.clip(b + apply.moves(velocity, 0, next(draws)), -(2**30), 2**30)
    left = np.zeros_like(velocity)
    if node.attrs["momentum"]:
        left = apply.kept(velocity, node.attrs["momentum"], next(draws))
    return b.astype(np.int32), left.astype(np.int32)


@evaluates("adam_weight")
def _adam_weight(machine: MachineState, node: Node, *inputs: np.ndarray) -> Result:
    if not machine.applies:
        return inputs
    attrs, bits = node.attrs, node.attrs["fraction_bits"]
    *trained, high, low, second = inputs
    whole = update.whole(trained[0], trained[1] if bits else None, bits)
    velocity = update.whole(high, low, VELOCITY_BITS)
    second = adam.moved_second(second, adam.mean_squares(velocity), machine.windows)
    constants = lowering.adam_constants(node, machine.accumulation_window)
    gains = np.array(
        [
            adam.gain(machine.step.rate, constant, adam.root_of_weights(of_channel))
            for constant, of_channel in zip(constants, second, strict=True)
        ]
    )
    m, h = (part.reshape(-1, *(1,) * (whole.ndim - 1)) for part in gains.T)
    draws = _draws(machine, node, whole.shape)
    moved = adam.moves(velocity, m, h, next(draws))
    if attrs["decay"]:
        decay = float(lowering.accumulated_decay(node, machine.accumulation_window))
        moved = moved - apply.decays(whole, decay, machine.step, next(draws))
    left = np.zeros_like(velocity)
    if attrs["momentum"]:
        left = apply.kept(velocity, attrs["momentum"], next(draws))
    new = update.split(whole + moved, bits)
    fraction = [new[1].reshape(trained[1].shape)] if bits else []
    return (new[0], *fraction, *update.split(left, VELOCITY_BITS), second)


@evaluates("adam_bias")
def _adam_bias(machine: MachineState, node: Node, *inputs: np.ndarray) -> Result:
    if not machine.applies:
        return inputs
    b, velocity = (data.astype(np.int64) for data in inputs[:2])
    mean = adam.mean_square_of_bias(velocity, lowering.adam_units(node))
    second = adam.moved_second(inputs[2], np.array([mean]), machine.windows)
    (constant,) = lowering.adam_constants(node, machine.accumulation_window)
    m, h = adam.gain(machine.step.rate, constant, adam.root_of_bias(second[0]))
    draws = _draws(machine, node, b.shape)
    moved = adam.moves(velocity, m, h, next(draws))
    left = np.zeros_like(velocity)
    if node.attrs["momentum"]:
        left = apply.kept(velocity, node.attrs["momentum"], next(draws))
    return np.clip(b + moved, -(2**30), 2**30).astype(np.int32), left.astype(np.int32), second


def _draws(machine: MachineState, node: Node, shape: tuple[int, ...]) -> Iterator[np.ndarray]:
    attrs = node.attrs
    # Adam's gain always cuts something off.
    cut = attrs.get("velocity", True) and (is_adam(node) or attrs.get("fraction_bits", 0) < 8)
    parts = (attrs.get("clip"), cut, attrs.get("decay"), attrs["momentum"])
    count = sum(map(bool, parts))
    is_random = Rounding(attrs["rule"]).is_random
    return iter(apply.draws(machine.step, machine.index(node), shape, count, is_random=is_random))
