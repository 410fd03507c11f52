"""What waits in a velocity, applied: docs/arithmetic.md section 6."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinytrain.ir.ops_update import VELOCITY_RESOLUTION
from tinytrain.reference.update import NEAREST, StepState, random_numbers

F = np.float32
ONE = 2**15
"""A factor of clipping that changes nothing."""

_LARGEST_DECAY = F(0.25)


def draws(
    step: StepState, index: int, shape: tuple[int, ...], count: int, *, is_random: bool
) -> list[np.ndarray]:
    """`count` numbers r for each element, drawn element by element: int64 of `shape` each."""
    if not is_random:
        return [np.full(shape, NEAREST, dtype=np.int64)] * count
    numbers = random_numbers(step.seed, step.count, index, math.prod(shape) * count)
    each = numbers.astype(np.int64).reshape(*shape, count)
    return [each[..., k] for k in range(count)]


def clipped(velocity: np.ndarray, factor: int, r: np.ndarray) -> np.ndarray:
    """A velocity, int64, times factor / 2^15; |velocity| <= 2^30, 0 <= factor <= 2^15."""
    result: np.ndarray = (velocity * factor + (r >> 17)) >> 15
    return result


def kept(velocity: np.ndarray, momentum: float, r: np.ndarray) -> np.ndarray:
    """What the next accumulation window finds: velocity times momentum, in units of 2^-16."""
    result: np.ndarray = (velocity * momentum_factor(momentum) + (r >> 16)) >> 16
    return result


def momentum_factor(momentum: float) -> int:
    """momentum in units of 2^-16, below 2^16."""
    return round(momentum * 2**16)


def moves(velocity: np.ndarray, bits: int, r: np.ndarray | None) -> np.ndarray:
    """A velocity in units of 2^-bits of the trained integer; r is None where nothing is cut off."""
    drop = VELOCITY_RESOLUTION - bits
    if drop == 0 or r is None:
        return velocity
    result: np.ndarray = (velocity + (r >> (32 - drop))) >> drop
    return result


def decays(whole: np.ndarray, decay: float, step: StepState, r: np.ndarray) -> np.ndarray:
    """What a step takes off weights `whole` (int64, with their fractional bits)."""
    share = min(F(step.rate) * F(decay), _LARGEST_DECAY)
    result: np.ndarray = (whole * int(share * F(2.0**32)) + r) >> 32
    return result


def squares(velocities: np.ndarray, units: Sequence[float] | np.ndarray) -> np.float32:
    """Sum of the squares of a velocity [O,...] in float32, channel after channel.

    Args:
        units: square of the real value of one unit, for each channel, float32.
    """
    total = F(0)
    sums = (velocities.reshape(velocities.shape[0], -1) ** 2).sum(axis=1)
    for of_channel, unit in zip(sums, units, strict=True):
        total = F(total + F(of_channel) * F(unit))
    return total


def clip_factor(total: np.float32, limit: np.float32) -> int:
    """Factor in units of 2^-15 that brings a norm, the root of `total`, down to `limit`."""
    most = F(limit * limit)
    if not total > most:
        return ONE
    return math.isqrt(int(F(most / total) * F(2.0**30)))
