"""Losses in float32, each operation rounded once, in the order of docs/arithmetic.md section 3."""

from __future__ import annotations

import numpy as np

F = np.float32

_EXP = tuple(
    F(c)
    for c in (
        1.9875691500e-4,
        1.3981999507e-3,
        8.3334519073e-3,
        4.1665795894e-2,
        1.6666665459e-1,
        5.0000001201e-1,
    )
)
_LOG = tuple(
    F(c)
    for c in (
        7.0376836292e-2,
        -1.1514610310e-1,
        1.1676998740e-1,
        -1.2420140846e-1,
        1.4249322787e-1,
        -1.6668057665e-1,
        2.0000714765e-1,
        -2.4999993993e-1,
        3.3333331174e-1,
    )
)
_LN2_HIGH = F(0.693359375)
_LN2_LOW = F(-2.12194440e-4)


def exp(x: np.ndarray) -> np.ndarray:
    """e**x for float32 x <= 0; 0 below -87. Source: Moshier, Cephes, expf."""
    value = np.maximum(np.asarray(x, dtype=F), F(-87))
    k = np.trunc(value * F(1.44269504) - F(0.5))
    r = (value - k * _LN2_HIGH) - k * _LN2_LOW
    p = np.full_like(r, _EXP[0])
    for coefficient in _EXP[1:]:
        p = p * r + coefficient
    result = np.ldexp(((p * r) * r + r) + F(1), k.astype(np.int32))
    return np.where(np.asarray(x, dtype=F) < F(-87), F(0), result)


def log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of float32 x >= 1. Source: Moshier, Cephes, logf."""
    f, exponent = np.frexp(np.asarray(x, dtype=F))
    low = f < F(0.707106781186547524)
    k = np.where(low, exponent - 1, exponent).astype(F)
    f = np.where(low, f + f, f) - F(1)
    z = f * f
    p = np.full_like(f, _LOG[0])
    for coefficient in _LOG[1:]:
        p = p * f + coefficient
    t = (p * f) * z
    t = t + k * _LN2_LOW
    t = t - F(0.5) * z
    result: np.ndarray = (f + t) + k * _LN2_HIGH
    return result


def sequential_sum(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Float32 sum along one axis, in order, starting from +0.

    `np.sum` adds pairwise; the running sum of `cumsum` is the order of a loop in C.
    """
    running = np.cumsum(values, axis=axis, dtype=F)
    result: np.ndarray = np.take(running, -1, axis=axis) + F(0)
    return result


def argmax(x: np.ndarray) -> int:
    """Index of the largest element, the first of equals; x is finite."""
    return int(np.argmax(x))


def softmax_cross_entropy(logits: np.ndarray, label: int) -> tuple[np.float32, np.ndarray]:
    """Loss and its gradient for finite float32 logits of any shape, 0 <= label < size."""
    flat = logits.astype(F).ravel()
    shifted = flat - np.max(flat)
    powers = exp(shifted)
    total = sequential_sum(powers)
    loss = log(total) - shifted[label]
    target = np.zeros_like(flat)
    target[label] = 1
    return F(loss), (powers / total - target).reshape(logits.shape)


def pixel_cross_entropy(logits: np.ndarray, labels: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """Mean of `softmax_cross_entropy` over pixels, and its gradient.

    Args:
        logits: finite float32 of as many classes for each pixel, the classes innermost.
        labels: of each pixel, integers [P].
    """
    each = logits.astype(F).reshape(labels.size, -1)
    shifted = each - each.max(axis=1, keepdims=True)
    powers = exp(shifted)
    total = sequential_sum(powers, axis=1)
    at = np.arange(labels.size), labels.astype(np.int64)
    losses = log(total) - shifted[at]
    target = np.zeros_like(each)
    target[at] = 1
    count = F(labels.size)
    gradient = (powers / total[:, None] - target) / count
    return F(sequential_sum(losses) / count), gradient.reshape(logits.shape)


def smoothed_cross_entropy(
    logits: np.ndarray, label: int, smoothing: float
) -> tuple[np.float32, np.ndarray]:
    """As `softmax_cross_entropy` toward 1 - smoothing at the label and smoothing / size everywhere.

    Source: Szegedy et al., CVPR 2016.

    Args:
        smoothing: a float32 value above 0 and below 1.
    """
    flat = logits.astype(F).ravel()
    shifted = flat - np.max(flat)
    powers = exp(shifted)
    total = sequential_sum(powers)
    on = F(1) - F(smoothing)
    off = F(smoothing) / F(flat.size)
    loss = (log(total) - on * shifted[label]) - off * sequential_sum(shifted)
    target = np.full_like(flat, off)
    target[label] = off + on
    return F(loss), (powers / total - target).reshape(logits.shape)


def binary_cross_entropy(logits: np.ndarray, target: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """Mean loss of each logit for itself, and its gradient.

    Args:
        logits: finite float32 of any shape.
        target: float32 of as many elements, each from 0 to 1.
    """
    z, wanted = logits.astype(F).ravel(), target.astype(F).ravel()
    count = F(z.size)
    power = exp(-np.abs(z))
    whole = F(1) + power
    probability = np.where(z > 0, F(1), power) / whole
    losses = (np.maximum(z, F(0)) - z * wanted) + log(whole)
    gradient = (probability - wanted) / count
    return F(sequential_sum(losses) / count), gradient.reshape(logits.shape)


def weighted_pixel_cross_entropy(
    logits: np.ndarray, labels: np.ndarray, weights: np.ndarray
) -> tuple[np.float32, np.ndarray]:
    """As `pixel_cross_entropy`, each pixel with the weight of its class.

    Args:
        weights: float32 [classes].
    """
    each = logits.astype(F).reshape(labels.size, -1)
    chosen = weights[labels.astype(np.int64).ravel()]
    found = [
        softmax_cross_entropy(one, int(label))
        for one, label in zip(each, labels.ravel(), strict=True)
    ]
    losses = np.array([loss for loss, _ in found], F) * chosen
    slopes = np.array([slope for _, slope in found], F) * chosen[:, None] / F(labels.size)
    return F(sequential_sum(losses) / F(labels.size)), slopes.reshape(logits.shape)


def weighted_binary_cross_entropy(
    logits: np.ndarray, target: np.ndarray, weights: np.ndarray
) -> tuple[np.float32, np.ndarray]:
    """As `binary_cross_entropy`, with a weight for the positives of each output.

    Args:
        weights: float32, one for each logit.
    """
    z, wanted = logits.astype(F).ravel(), target.astype(F).ravel()
    count = F(z.size)
    power = exp(-np.abs(z))
    whole = F(1) + power
    probability = np.where(z > 0, F(1), power) / whole
    positive = wanted * weights
    share = (F(1) - wanted) + positive
    losses = (F(1) - wanted) * z + share * (np.maximum(-z, F(0)) + log(whole))
    gradient = (probability * share - positive) / count
    return F(sequential_sum(losses) / count), gradient.reshape(logits.shape)


def prediction(output: np.ndarray) -> int:
    """The class that an output stands for: of one logit its sign, of several the largest."""
    return int(output.ravel()[0] > 0) if output.size == 1 else argmax(output)


def mean_squared_error(output: np.ndarray, target: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """Loss and its gradient for float32 arrays of one shape; the loss may be infinite."""
    difference = (output.astype(F) - target.astype(F)).ravel()
    count = F(difference.size)
    with np.errstate(over="ignore"):
        loss = sequential_sum(difference * difference) / count
    return F(loss), (difference * (F(2) / count)).reshape(output.shape)


def huber(output: np.ndarray, target: np.ndarray) -> tuple[np.float32, np.ndarray]:
    """As `mean_squared_error`: half the square up to a difference of 1, linear from there on.

    Source: Huber, "Robust Estimation of a Location Parameter", 1964.
    """
    difference = (output.astype(F) - target.astype(F)).ravel()
    count = F(difference.size)
    distance = np.abs(difference)
    with np.errstate(over="ignore"):
        square = F(0.5) * difference * difference
    losses = np.where(distance <= 1, square, distance - F(0.5))
    slope = np.clip(difference, F(-1), F(1)) * (F(1) / count)
    return F(sequential_sum(losses) / count), slope.reshape(output.shape)
