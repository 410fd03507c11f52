"""The directions in which samples differ most, with the same bits on every machine.

A LAPACK of another machine sums in another order. Here sums of integers are exact, and all that
follows are single additions, products, quotients and square roots of doubles, in an order that is
fixed. A symmetric matrix becomes tridiagonal by Householder's reflections (1958), and diagonal by
QL steps with implicit shifts (Dubrulle, Martin and Wilkinson, "The Implicit QL Algorithm", 1968).
"""

from __future__ import annotations

import math

import numpy as np

STEPS = 60
"""QL steps for an eigenvalue, at most; two suffice in the mean."""

CLOSE = 2.0**-52
"""Of an element beside the diagonal relative to those on it, from which on it is none."""


def principal_directions(features: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """The leading eigenvectors of the covariance of samples, and their variances, largest first.

    Args:
        features: int8 [N, F], N up to 256 and F below 2**16.
        most: directions at most.

    Returns:
        float64 [K, F], each of length 1, and float64 [K]; directions without variance are left out.
    """
    count, size = features.shape
    x = features.astype(np.int64)
    centred = count * x - x.sum(axis=0)  # times N, exact
    by_samples = count < size
    products = centred @ centred.T if by_samples else centred.T @ centred
    values, vectors = symmetric_eigen(products.astype(np.float64) / float(count) ** 3)
    order = np.argsort(-values, kind="stable")[:most]
    order = order[values[order] > 1e-9 * values.max(initial=0.0)]
    rows = vectors[order]
    if by_samples:
        rows = _combined(rows, centred)
    lengths = np.sqrt(_sums(np.square(rows)))
    return rows / lengths[:, None], values[order]


def symmetric_eigen(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues and eigenvectors, in rows, of a symmetric matrix; in no order.

    Args:
        matrix: float64 [n, n], n at least 1.
    """
    diagonal, beside, vectors = _tridiagonal(matrix)
    for low in range(len(diagonal)):
        for _ in range(STEPS):
            high = _end_of_block(diagonal, beside, low)
            if high == low:
                break
            _ql_step(diagonal, beside, vectors, low, high)
    return np.array(diagonal), vectors


def _tridiagonal(matrix: np.ndarray) -> tuple[list[float], list[float], np.ndarray]:
    """The diagonal, what is beside it with a 0 behind, and the basis in rows."""
    a, size = matrix.copy(), len(matrix)
    basis = np.eye(size)
    beside = [0.0] * size
    for k in range(size - 1):
        v = a[k + 1 :, k].copy()
        length = math.sqrt(float(_total(v * v)))
        beside[k] = math.copysign(length, -v[0])
        v[0] -= beside[k]
        square = float(_total(v * v))
        if square == 0.0:
            continue
        rest = a[k + 1 :, k + 1 :]
        p = _sums(rest * v) * (2.0 / square)
        w = p - v * (float(_total(p * v)) / square)
        rest -= v[:, None] * w + w[:, None] * v
        turned = basis[k + 1 :]
        turned -= v[:, None] * (_sums(turned.T * v) * (2.0 / square))
    return [float(value) for value in np.diag(a)], beside, basis


def _end_of_block(diagonal: list[float], beside: list[float], low: int) -> int:
    """The last row of the block that begins at a row."""
    high = low
    while abs(beside[high]) > CLOSE * (
        abs(diagonal[high]) + abs(diagonal[min(high + 1, len(beside) - 1)])
    ):
        high += 1
    return high


def _ql_step(
    diagonal: list[float], beside: list[float], vectors: np.ndarray, low: int, high: int
) -> None:
    """One step on the block from row `low` to row `high`, from below to above."""
    slope = (diagonal[low + 1] - diagonal[low]) / (2.0 * beside[low])
    root = math.copysign(math.sqrt(slope * slope + 1.0), slope)
    # Wilkinson's shift: the eigenvalue of the first two rows that is nearer to the first.
    g = diagonal[high] - diagonal[low] + beside[low] / (slope + root)
    sine = cosine = 1.0
    moved = 0.0
    for k in range(high - 1, low - 1, -1):
        f, b = sine * beside[k], cosine * beside[k]
        beside[k + 1] = r = math.sqrt(f * f + g * g)
        if r == 0.0:
            diagonal[k + 1] -= moved
            beside[high] = 0.0
            return
        sine, cosine = f / r, g / r
        g = diagonal[k + 1] - moved
        r = (diagonal[k] - g) * sine + 2.0 * cosine * b
        moved = sine * r
        diagonal[k + 1] = g + moved
        g = cosine * r - b
        upper, lower = vectors[k].copy(), vectors[k + 1].copy()
        vectors[k + 1] = sine * upper + cosine * lower
        vectors[k] = cosine * upper - sine * lower
    diagonal[low] -= moved
    beside[low], beside[high] = g, 0.0


def _combined(rows: np.ndarray, centred: np.ndarray) -> np.ndarray:
    """Weighted sums of samples, from the first to the last: float64 [K, F].

    Args:
        rows: weights, [K, N].
    """
    found = np.zeros((len(rows), centred.shape[1]))
    for weights, sample in zip(rows.T, centred, strict=True):
        found += weights[:, None] * sample.astype(np.float64)
    return found


def _sums(values: np.ndarray) -> np.ndarray:
    """Of each row, from the first element to the last."""
    found: np.ndarray = np.cumsum(values, axis=1)[:, -1]
    return found


def _total(values: np.ndarray) -> np.float64:
    """From the first element to the last."""
    found: np.float64 = np.cumsum(values)[-1]
    return found
