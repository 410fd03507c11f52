"""The digits of scikit-learn, as the camera saw them in training and as it sees them now.

1,797 handwritten digits of 8x8 pixels, originally E. Alpaydin and C. Kaynak, "Optical Recognition
of Handwritten Digits", UCI Machine Learning Repository.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy import ndimage
from sklearn.datasets import load_digits

CLASSES = 10
SHAPE = (1, 8, 8)

TRAIN = slice(0, 900)
ADAPT = slice(900, 1350)
TEST = slice(1350, 1797)

TILT = 30.0
"""Degrees that the camera turned in its mount."""

CONTRAST = 0.5
HAZE = 0.1
"""What is left of the contrast, and the grey that lies over everything."""


@dataclass(frozen=True, eq=False)
class Images:
    """`x`: float32 [N, 1, 8, 8] in [0, 1], ink is 1; `y`: int32 digit [N]; `index` in the file."""

    x: np.ndarray
    y: np.ndarray
    index: np.ndarray


@cache
def _digits() -> tuple[np.ndarray, np.ndarray]:
    raw = load_digits()
    return (raw.images / 16).astype(np.float32)[:, None], raw.target.astype(np.int32)


def as_trained(part: slice) -> Images:
    """Images of the camera that the network was trained with."""
    x, y = _digits()
    return Images(x[part], y[part], np.arange(len(y))[part])


def as_it_is_now(part: slice) -> Images:
    """The same digits after the camera was knocked: tilted by TILT, pale behind a hazy lens."""
    clean = as_trained(part)
    tilted = [ndimage.rotate(image[0], TILT, reshape=False, order=1)[None] for image in clean.x]
    x = np.clip(CONTRAST * np.stack(tilted) + HAZE, 0, 1).astype(np.float32)
    return Images(x, clean.y, clean.index)
