"""Preprocessing of uint8 images into the model's units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from tinytrain.errors import UsageError

Numbers = float | Sequence[float]


@dataclass(frozen=True)
class Preprocess:
    """How a uint8 image becomes real numbers: resize, then (v / 255 - mean) / std.

    Resizing is Pillow's bilinear filter on the uint8 image (it widens its support when it shrinks,
    so it does not alias), and gives uint8 again. The scaling is done in float32, one operation
    after the other, so it is the same wherever it is computed.

    Attributes:
        resize: height and width of the result; None keeps the size of the images.
        mean: one entry for all channels, or one for each; in units of v / 255.
        std: likewise, positive.

    Raises:
        UsageError: a size below 1, a mean or std that is not finite, a std that is not positive.
    """

    resize: tuple[int, int] | None = None
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        if self.resize is not None and (len(self.resize) != 2 or min(self.resize) < 1):
            raise UsageError(
                f"the preprocessing resizes to {list(self.resize)}, "
                "where a height and a width of at least 1 are needed"
            )
        if not self.mean or not all(math.isfinite(value) for value in self.mean):
            raise UsageError(
                "--mean must be finite, one for all channels or one for each, "
                f"got {_words(self.mean)}"
            )
        if not self.std or not all(math.isfinite(value) and value > 0 for value in self.std):
            raise UsageError(
                "--std must be positive and finite, one for all channels or one for each, "
                f"got {_words(self.std)}"
            )

    def fits_channels(self, channels: int) -> bool:
        """Whether mean and std have one entry, or one for each of the channels."""
        return len(self.mean) in (1, channels) and len(self.std) in (1, channels)

    def sentence(self) -> str:
        """What becomes of a pixel."""
        return f"uint8 images become (v / 255 - {_words(self.mean)}) / {_words(self.std)}"

    def table(self, channels: int) -> np.ndarray:
        """What each of the 256 values becomes, float32 [256, channels]."""
        mean = np.broadcast_to(np.asarray(self.mean, dtype=np.float32), (channels,))
        std = np.broadcast_to(np.asarray(self.std, dtype=np.float32), (channels,))
        unit = np.arange(256, dtype=np.float32)[:, None] / np.float32(255)
        return (unit - mean) / std

    def resized(self, images: np.ndarray) -> np.ndarray:
        """Images of the size asked for: uint8 [n, h, w, c] to uint8 [n, height, width, c]."""
        if self.resize is None or images.shape[1:3] == self.resize:
            return images
        height, width = self.resize
        count, channels = images.shape[0], images.shape[3]
        out = np.empty((count, height, width, channels), dtype=np.uint8)
        for index, image in enumerate(images):
            # Pillow filters each channel by itself, so planes one by one equal an RGB image.
            planes = [image] if channels == 3 else [image[..., c] for c in range(channels)]
            done = [
                np.asarray(
                    Image.fromarray(np.ascontiguousarray(plane)).resize(
                        (width, height), Image.Resampling.BILINEAR
                    )
                )
                for plane in planes
            ]
            out[index] = done[0] if channels == 3 else np.stack(done, axis=-1)
        return out


def preprocess_images(
    mean: Numbers | None, std: Numbers | None, size: tuple[int, int]
) -> Preprocess | None:
    """For the uint8 images of a model; None where neither mean nor std is given.

    Args:
        mean, std: one number for all channels, or one for each; a mean of 0, a std of 1 otherwise.
        size: height and width of the model's input.

    Raises:
        UsageError: as for `Preprocess`.
    """
    if mean is None and std is None:
        return None
    return Preprocess(size, _several(mean, 0.0), _several(std, 1.0))


def _several(given: Numbers | None, default: float) -> tuple[float, ...]:
    if given is None:
        return (default,)
    return tuple(given) if isinstance(given, Sequence) else (given,)


def _words(numbers: Sequence[float]) -> str:
    return " ".join(f"{number:g}" for number in numbers) or "none"
