"""Data that is not scaled as in calibration is told by what the input's range makes of it."""

from __future__ import annotations

import numpy as np
import pytest

from tinytrain.data import Coverage, Dataset, Preprocess, SampleSpec, coverage

SPEC = SampleSpec((1, 4, 4, 2), (1, 2, 4, 4), "NCHW", 2, 2, scale=0.02, zero_point=8)
"""Its range is -2.72 to 2.38."""


def data_of(x: np.ndarray, spec: SampleSpec = SPEC) -> Dataset:
    return Dataset(spec, x, np.zeros(len(x), np.int32), "learn.npz")


def noise(factor: float) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(300, 4, 4, 2)).clip(-2, 2)
    return (values * factor).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "wanted"),
    [
        (noise(1.0), None),
        (np.abs(noise(1.0)), None),
        ((noise(1.0) > 0).astype(np.float32), None),
        (noise(255.0), "99% of the input values of learn.npz lie outside the range that the model "
         "was calibrated for (-2.72 to 2.38): is the data scaled as in calibration?"),
        (noise(1e-6), "the input values of learn.npz take a single one of the 256 steps of the "
         "range that the model was calibrated for (-2.72 to 2.38): is the data scaled as in "
         "calibration?"),
        (noise(1 / 255), "the input values of learn.npz take a single one of the 256 steps"),
        (noise(1 / 80), "the input values of learn.npz take 3 of the 256 steps"),
        (np.full((9, 4, 4, 2), 0.5, np.float32), "all input values of learn.npz are the same"),
        (np.full((9, 4, 4, 2), 50.0, np.float32), "100% of the input values of learn.npz lie"),
    ],
)  # fmt: skip
def test_what_is_said_of_data(x: np.ndarray, wanted: str | None) -> None:
    found = coverage(data_of(x))
    sentence = found.warning(SPEC, "learn.npz")
    assert (sentence is None) == (wanted is None)
    assert sentence is None or sentence.startswith(str(wanted))


def test_the_share_is_exact_and_parts_add_up() -> None:
    x = noise(2.0)
    whole = coverage(data_of(x))
    clipped = int(((np.rint(x / np.float32(0.02)) + 8 < -128) | (x / 0.02 + 8 > 127.5)).sum())
    assert (whole.seen, whole.clipped) == (x.size, clipped)
    assert coverage(data_of(x[:100])).joined(coverage(data_of(x[100:]))) == whole
    assert whole.share == clipped / x.size


def test_images_are_looked_at_by_their_values() -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, 2), dtype=np.uint8)
    shape, source = (1, 4, 4, 2), (1, 4, 4, 2)
    for std, zero, share in ((1.0, -128, 0.0), (1 / 255, -128, None)):
        pixels = Preprocess(None, (0.0,), (std,))
        spec = SampleSpec(shape, source, "NHWC", 2, 2, 1 / 255, zero, pixels)
        found = coverage(data_of(images, spec))
        table = images.astype(np.float32) / 255 / std
        assert found.seen == images.size
        assert found.clipped == int((np.rint(table * 255) - 128 > 127).sum())
        assert share is None or found == Coverage(
            images.size, 0, float(images.min()) / 255, float(np.float32(images.max()) / 255)
        )
