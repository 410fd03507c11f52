"""Samples checked against the input of a model, whatever holds them."""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, Where

CHUNK = 256
"""Samples converted at a time: 256 images of 128x128x3 as float32 are 50 MB."""

LEAVE_OUT = "leave such samples out"


def checked_samples(x: np.ndarray, spec: SampleSpec, where: Where) -> np.ndarray:
    """x as an NHWC view: float32, or uint8 images of any size.

    Raises:
        DataError: it does not fit the model.
    """
    if x.ndim == 0:
        _fail(where, "x is a single number, where an array of samples is needed")
    if x.shape[0] == 0:
        _fail(where, "the data file holds no samples")
    if x.dtype == np.uint8:
        return _checked_images(x, spec, where)
    if x.dtype.kind != "f":
        _fail(
            where,
            f"x has dtype {x.dtype}, where float32 in the model's units or uint8 images are needed",
            "save x.astype(np.float32)" if x.dtype.kind in "biu" else None,
        )
    layout = next((name for name, shape in spec.arrangements() if x.shape[1:] == shape), None)
    if layout is None:
        accepted = dict.fromkeys(shape for _, shape in spec.arrangements())
        choices = " or ".join(batch_shape(shape) for shape in accepted)
        several = ", ".join(part.name for part in spec.parts)
        help = f"give a tuple with an array for each of its inputs: {several}" if several else None
        _fail(where, f"x has shape {list(x.shape)}, but the model takes {choices}", help)
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    for start in range(0, x.shape[0], CHUNK):
        bad = ~np.isfinite(x[start : start + CHUNK])
        if bad.any():
            sample = start + int(np.argwhere(bad)[0][0])
            what = f"x holds a NaN or an infinite value, first in sample {sample}"
            _fail(where, what, LEAVE_OUT)
    present = [letter for letter in "HWC" if letter in layout]
    ordered = x.transpose(0, *(1 + layout.index(letter) for letter in present))
    return ordered[(slice(None), *(slice(None) if c in layout else None for c in "HWC"))]


def _checked_images(x: np.ndarray, spec: SampleSpec, where: Where) -> np.ndarray:
    _, height, width, channels = spec.shape
    if spec.preprocess is None:
        _fail(
            where,
            "x holds uint8 images, but the model was compiled without a preprocessing for them",
            "give float32 in the model's units, or compile with a mean and std for images",
        )
    if x.ndim == 3 and channels == 1:
        images = x[..., None]
    elif x.ndim == 4 and x.shape[3] == channels:
        images = x
    elif x.ndim == 4 and x.shape[1] == channels:
        images = x.transpose(0, 2, 3, 1)
    else:
        grey = ", or [N, h, w]" if channels == 1 else ""
        _fail(
            where,
            f"x has shape {list(x.shape)}, but uint8 images for this model have shape "
            f"[N, h, w, {channels}] or [N, {channels}, h, w]{grey}",
        )
    if min(images.shape[1:3]) == 0:
        _fail(where, f"x has shape {list(x.shape)}: its images are empty")
    if spec.preprocess.resize is None and images.shape[1:3] != (height, width):
        _fail(
            where,
            f"x holds images of {list(images.shape[1:3])}, but the model takes {[height, width]}",
            "compile with a preprocessing that resizes",
        )
    return images


def batch_shape(shape: tuple[int, ...]) -> str:
    """In words, with N in front."""
    return "[" + ", ".join(["N", *(str(size) for size in shape)]) + "]"


def _fail(where: Where, what: str, help: str | None = None) -> NoReturn:
    raise DataError(what, where=where, help=help)
