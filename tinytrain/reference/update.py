"""From a sum to an update, and the scales of gradients: docs/arithmetic.md sections 5 and 6."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinytrain.reference.fixed_point import rh64, saturate

F = np.float32
NEAREST = 2**31
"""The r that rounds to nearest, in the place of a random number."""

_WORD = 2**32


@dataclass(frozen=True)
class StepState:
    """What is the same for all updates of a step.

    Attributes:
        rate: learning rate, a float32 value in [0, 1024].
        normaliser: n of the step's loss gradient.
        seed: of the generator, 32 bits.
        count: t, the steps before this one, 32 bits.
    """

    rate: float
    normaliser: int = 0
    seed: int = 0
    count: int = 0


NO_RATE_EXPONENT = 1


def rate_parts(rate: float) -> tuple[int, int]:
    """(L_r, e_r) with rate = L_r * 2**(e_r - 31), 2**30 <= L_r < 2**31.

    Below 2**-126 L_r is 0, and e_r is not, which marks a state that was set up.

    Raises:
        ValueError: the rate is not in [0, 1024].
    """
    if not 0.0 <= rate <= 1024.0:
        raise ValueError(f"a learning rate is between 0 and 1024, not {rate}")
    single = float(F(rate))
    if single < 2.0**-126:
        return 0, NO_RATE_EXPONENT
    fraction, exponent = math.frexp(single)
    return int(fraction * 2.0**31), exponent


def mix(x: int) -> int:
    """The finaliser of MurmurHash3 on 32 bits."""
    x ^= x >> 16
    x = x * 0x85EBCA6B % _WORD
    x ^= x >> 13
    x = x * 0xC2B2AE35 % _WORD
    return x ^ (x >> 16)


def random_numbers(seed: int, count: int, index: int, size: int) -> np.ndarray:
    """The first `size` random numbers of update `index` in step `count`: uint32 [size].

    The k-th is a**k * x + c * (1 + a + ... + a**(k - 1)) modulo 2**32, k from 1 on.
    """
    start = mix((mix(seed ^ (count * 0x9E3779B9 % _WORD)) + index * 0x85EBCA6B) % _WORD)
    powers = np.cumprod(np.full(size, 1664525, dtype=np.uint32), dtype=np.uint32)
    geometric = np.cumsum(np.concatenate([np.ones(1, np.uint32), powers])[:size], dtype=np.uint32)
    return powers * np.uint32(start) + np.uint32(1013904223) * geometric


def rounding(step: StepState, index: int, shape: tuple[int, ...], *, is_random: bool) -> np.ndarray:
    """r for each element of an update, int64 of `shape`, in memory order."""
    if not is_random:
        return np.full(shape, NEAREST, dtype=np.int64)
    numbers = random_numbers(step.seed, step.count, index, math.prod(shape))
    return numbers.astype(np.int64).reshape(shape)


def update_shift(shift: npt.ArrayLike, step: StepState, exponent: int, q: int) -> np.ndarray:
    """h = 31 - S - e_r - E - n - q for each channel."""
    rest = 31 - rate_parts(step.rate)[1] - exponent - step.normaliser - q
    return rest - np.asarray(shift, dtype=np.int64)


def deltas(
    sums: np.ndarray,
    multiplier: npt.ArrayLike,
    shift: npt.ArrayLike,
    step: StepState,
    exponent: int,
    q: int,
    r: np.ndarray,
) -> np.ndarray:
    """D of integer sums, int64, unclamped.

    Args:
        sums: int64 [O,...], the sums of the gradient before their shift by q, |sums| < 2**(31+q).
        multiplier: M of each channel, in [2**30, 2**31).
        shift: S of each channel, in [-31, 31].
        exponent: E of the gradient that was summed.
        q: `gradients.sum_shift`.
        r: `rounding`, of the shape of `sums`.
    """
    per_channel = (-1,) + (1,) * (sums.ndim - 1)
    kept = rh64(sums, q) if q else np.asarray(sums, dtype=np.int64)
    mantissa = (np.asarray(multiplier, dtype=np.int64) * rate_parts(step.rate)[0] + 2**30) >> 31
    h = update_shift(shift, step, exponent, q)
    mantissa, h = (np.broadcast_to(a, (sums.shape[0],)).reshape(per_channel) for a in (mantissa, h))
    product = kept * mantissa
    inside = np.clip(h, 1, 62)
    u = np.where(inside >= 32, r << np.maximum(inside - 32, 0), r >> np.maximum(32 - inside, 0))
    rest = np.maximum(inside - 32, 0)
    short = (((product + 2**31) >> 32) + (r >> (32 - rest))) >> rest
    # Whatever is not 0 saturates after 31 places; cutting it at 2**31 first keeps it below 2**62.
    left = saturate(saturate(product, 32) << np.clip(-h, 0, 31), 32)
    return np.select([h > 62, h > 35, h > 0], [0, short, (product + u) >> inside], left)


def deltas_f32(
    sums: np.ndarray, factors: npt.ArrayLike, step: StepState, r: np.ndarray
) -> np.ndarray:
    """D of float32 sums [O,...], int64; `factors` are c[o] in float32. NaN and infinity give 0."""
    per_channel = np.broadcast_to(np.asarray(factors, dtype=F), (sums.shape[0],))
    factor = F(step.rate if step.rate >= 2.0**-126 else 0.0) * per_channel
    with np.errstate(over="ignore", invalid="ignore"):
        d = sums * factor.reshape((-1,) + (1,) * (sums.ndim - 1))
    d = np.clip(np.where(np.isfinite(d), d, F(0)), F(-(2.0**30)), F(2.0**30))
    fraction = (r >> 8).astype(F) * F(2.0**-24)
    result: np.ndarray = np.floor(d + fraction).astype(np.int64)
    return result


def unpack_fraction(packed: np.ndarray, bits: int, size: int) -> np.ndarray:
    """The low parts of `size` weights, int64 in [-2**(F-1), 2**(F-1)), from their packed bytes."""
    if bits == 0:
        return np.zeros(size, dtype=np.int64)
    places = np.arange(0, 8, bits)
    fields = (packed.astype(np.int64)[:, None] >> places) & (2**bits - 1)
    fields = fields.ravel()[:size]
    result: np.ndarray = np.where(fields >= 2 ** (bits - 1), fields - 2**bits, fields)
    return result


def pack_fraction(low: np.ndarray, bits: int) -> np.ndarray:
    """The inverse of `unpack_fraction`: uint8 [ceil(size * bits / 8)], unused bits 0."""
    per_byte = 8 // bits
    padded = np.zeros(-(-low.size // per_byte) * per_byte, dtype=np.int64)
    padded[: low.size] = low.ravel() & (2**bits - 1)
    fields = padded.reshape(-1, per_byte) << np.arange(0, 8, bits)
    result: np.ndarray = fields.sum(axis=1).astype(np.uint8)
    return result


def whole(weights: np.ndarray, fraction: np.ndarray | None, bits: int) -> np.ndarray:
    """Wq, int64: weights int8 with their packed fraction (None for F = 0)."""
    low = np.zeros(weights.size, dtype=np.int64)
    if fraction is not None:
        low = unpack_fraction(fraction.ravel(), bits, weights.size)
    return (weights.astype(np.int64) << bits) + low.reshape(weights.shape)


def split(moved: np.ndarray, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The inverse of `whole`: int8 and the packed fraction, what no s8 can hold being clamped."""
    half = 2**bits >> 1
    inside = np.clip(moved, -(128 << bits) - half, (127 << bits) + (half - 1 if bits else 0))
    high = (inside + half) >> bits
    packed = pack_fraction(inside - (high << bits), bits) if bits else np.zeros(0, np.uint8)
    return high.astype(np.int8), packed


def apply_weights(
    weights: np.ndarray, fraction: np.ndarray | None, bits: int, d: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """Weights int8 and their packed fraction (None for F = 0) after D; the same pair, new."""
    high, packed = split(whole(weights, fraction, bits) - d, bits)
    return high, None if fraction is None else packed.reshape(fraction.shape)


def apply_bias(bias: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Biases int32 after D, held within +-2**30."""
    result: np.ndarray = np.clip(bias.astype(np.int64) - d, -(2**30), 2**30).astype(np.int32)
    return result


def scales_end(exponent: int, running_max: int, peak: int, limit: int) -> tuple[int, int]:
    """(E, R) after an active step whose largest rounded entry was `peak`."""
    top = limit << 8
    decayed = running_max - (running_max >> 6) - (running_max > 0)
    e, r = exponent, max(decayed, min(peak, 2**20) << 8)
    while r > top and e < 60:
        e, r = e + 1, (r + 1) >> 1
    while 0 < 2 * r <= top and e > -60:
        e, r = e - 1, 2 * r
    return e, r
