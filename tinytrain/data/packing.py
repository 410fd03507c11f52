"""Several arrays as one: those of a sample one after the other."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def packed(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays [N, ...] of the same samples as one, [N, elements]."""
    return np.concatenate([part.reshape(_flat(part.shape)) for part in parts], axis=1)


def unpacked(samples: np.ndarray, shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """The reverse of `packed`.

    Args:
        samples: [N, ...], each of as many elements as the parts have together.
        shapes: of the parts, each with a leading batch of 1.

    Returns:
        [N, ...], each in the shape of its part.
    """
    flat = samples.reshape(_flat(samples.shape))
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    parts = np.split(flat, ends[:-1], axis=1)
    return [
        part.reshape(len(samples), *shape[1:]) for part, shape in zip(parts, shapes, strict=True)
    ]


def _flat(shape: tuple[int, ...]) -> tuple[int, int]:
    """The number of samples, none perhaps, and of the elements of each."""
    return shape[0], math.prod(shape[1:])
