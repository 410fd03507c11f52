"""What works element by element, its gradients, and the integers that kernels get for it.

Sections 2 and 4 of docs/arithmetic.md. Activations are int8; a gradient is int8, int16 or float32.
"""

from __future__ import annotations

import math

import numpy as np

from tinytrain.ir.graph import Value
from tinytrain.reference.fixed_point import requantize, requantizers, rh, store
from tinytrain.reference.gradients import F, is_real
from tinytrain.reference.loss import sequential_sum
from tinytrain.reference.lowering import scale_of
from tinytrain.reference.windows import Pair


def add(
    a: np.ndarray,
    b: np.ndarray,
    a_zero: int,
    b_zero: int,
    factors: Pair,
    shift: int,
    zero: int,
    clamp: Pair,
) -> np.ndarray:
    """The sum of a and b, int8 each times its factor: a difference if one is below 0.

    `factors` are those of a and b, below 2**21 in magnitude, in 2**-shift.
    """
    left = (a.astype(np.int64) - a_zero) * factors[0]
    right = (b.astype(np.int64) - b_zero) * factors[1]
    return store((left + right + (1 << (shift - 1))) >> shift, zero, clamp)


def multiply(
    a: np.ndarray,
    b: np.ndarray,
    a_zero: int,
    b_zero: int,
    multiplier: int,
    shift: int,
    zero: int,
    clamp: Pair,
) -> np.ndarray:
    """a * b, int8; b broadcasts against a."""
    product = (a.astype(np.int64) - a_zero) * (b.astype(np.int64) - b_zero)
    return store(requantize(product, multiplier, shift), zero, clamp)


def lookup(table: np.ndarray, x: np.ndarray) -> np.ndarray:
    """table[x + 128] for a table of 256 entries; the dtype is the table's."""
    return table[x.astype(np.int64) + 128]


def clamp_mask(y: np.ndarray, clamp: Pair) -> np.ndarray:
    """Bits lo < y < hi of all elements in order, packed eight to a byte, least significant first.

    Returns:
        uint8 [ceil(y.size / 8)]; unused bits are 0.
    """
    return np.packbits((y > clamp[0]) & (y < clamp[1]), axis=None, bitorder="little")


def grad_clamp(g: np.ndarray, y: np.ndarray, clamp: Pair) -> np.ndarray:
    """g where lo < y < hi, else 0; y is the int8 forward output."""
    return np.where((y > clamp[0]) & (y < clamp[1]), g, g.dtype.type(0))


def grad_clamp_mask(g: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """g where its bit of `clamp_mask` is set, else 0."""
    bits = np.unpackbits(mask, count=g.size, bitorder="little").astype(bool)
    return np.where(bits.reshape(g.shape), g, g.dtype.type(0))


def grad_add(
    a: np.ndarray, b: np.ndarray, a_exponent: int, b_exponent: int
) -> tuple[np.ndarray, int]:
    """Sum of two branches: (sums, E_in) for `rescale` with shift 8; (sum, 0) for float32."""
    if is_real(a):
        return a + b, 0
    e = max(a_exponent, b_exponent)
    left = rh(a.astype(np.int64) * 256, e - a_exponent)
    return left + rh(b.astype(np.int64) * 256, e - b_exponent), e


def negate(g: np.ndarray) -> np.ndarray:
    """-g: integers lie in +-L, so that none is out of range."""
    return np.asarray(-g)


def lookup_grad(g: np.ndarray, x: np.ndarray, table: np.ndarray, shift: int = 14) -> np.ndarray:
    """Sums of dX of an activation: g * D[x + 128], D int16 of round(2**shift * f')."""
    slope = table[x.astype(np.int64) + 128]
    if is_real(g):
        slope = slope.astype(F) * F(2.0**-shift)
    result: np.ndarray = slope * (g if is_real(g) else g.astype(np.int64))
    return result


def multiply_grad(
    g: np.ndarray, other: np.ndarray, other_zero: int, mu: int, scale: float
) -> np.ndarray:
    """Sums of the gradient of the factor that has the shape of g, for `rescale64`.

    `other` is the other factor, int8, of zero point `other_zero`, and broadcasts against g; `mu`
    stands for its scale. Float32 gradients use `scale` itself, as the last factor.
    """
    centred = other.astype(np.int64) - other_zero
    if is_real(g):
        return g * centred.astype(F) * F(scale)
    return g.astype(np.int64) * centred * mu


def multiply_grad_broadcast(
    g: np.ndarray,
    other: np.ndarray,
    other_zero: int,
    mu: int,
    scale: float,
    *,
    per_channel: bool,
) -> np.ndarray:
    """Sums of the gradient of a factor that was broadcast: [C], or [1] when not `per_channel`.

    `other` has the shape of g, [...,C]; fewer than 2**24 elements keep the sums below 2**62.
    Float32 sums run over elements in order, and are scaled last.
    """
    channels = g.shape[-1] if per_channel else 1
    centred = other.astype(np.int64) - other_zero
    if is_real(g):
        products = (g * centred.astype(F)).reshape(-1, channels)
        return sequential_sum(products) * F(scale)
    result: np.ndarray = (g.astype(np.int64) * centred).reshape(-1, channels).sum(axis=0) * mu
    return result


def multiply_factor(scale: float) -> tuple[int, int]:
    """(mu, k) with mu = round(scale * 2**k) and 2**14 <= mu < 2**15."""
    fraction, exponent = math.frexp(scale)
    mu = round(fraction * 2.0**15)
    return (2**14, 14 - exponent) if mu == 2**15 else (mu, 15 - exponent)


def add_factors(a: Value, b: Value, y: Value) -> tuple[tuple[int, int], int]:
    """Factors of a and b, below 2**21, and the shift behind them, in [1, 30]."""
    ratios = scale_of(a) / scale_of(y), scale_of(b) / scale_of(y)
    shift = 30
    while shift > 1 and round(max(ratios) * 2.0**shift) >= 2**21:
        shift -= 1
    left, right = (min(round(ratio * 2.0**shift), 2**21 - 1) for ratio in ratios)
    return (left, right), shift


def subtract_factors(a: Value, b: Value, y: Value) -> tuple[tuple[int, int], int]:
    """`add_factors` of a difference: that of b is negative."""
    (left, right), shift = add_factors(a, b, y)
    return (left, -right), shift


def multiply_requant(a: Value, b: Value, y: Value) -> tuple[np.ndarray, np.ndarray]:
    """(M, S) of a multiplication, one entry."""
    return requantizers([scale_of(a) * scale_of(b) / scale_of(y)])


def multiply_mu(other: Value) -> tuple[int, int]:
    """(mu, k) with scale ~ mu * 2**-k, 2**14 <= mu < 2**15."""
    return multiply_factor(scale_of(other))
