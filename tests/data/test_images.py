"""uint8 images of a model whose input's scale and zero point say what they mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.onnx_models import quantized_model
from tinytrain.compiler.images import CONVENTIONS, image_preprocess
from tinytrain.data import SampleSpec, quantize_input
from tinytrain.errors import DataError
from tinytrain.frontend import import_model

MEANINGS = {
    "v / 255": lambda v: v / 255,
    "v / 127.5 - 1": lambda v: v / 127.5 - 1,
    "v, as it is": lambda v: v,
}
PIXELS = np.arange(256, dtype=np.uint8)


def test_every_convention_is_tried() -> None:
    assert [convention.words for convention in CONVENTIONS] == list(MEANINGS)


def model_of(folder: Path, scale: float, zero: int, shape: tuple[int, ...]) -> Path:
    return quantized_model(folder / "m.onnx", input_scale=scale, input_zero=zero, shape=shape)


@pytest.mark.parametrize(
    ("scale", "zero", "words"),
    [
        (1 / 255, -128, "v / 255"),
        (0.996 / 255, -128, "v / 255"),
        (1 / 127.5, -1, "v / 127.5 - 1"),
        (1 / 127.5, 0, "v / 127.5 - 1"),
        (1 / 128, -1, "v / 127.5 - 1"),
        (1.0, -128, "v, as it is"),
    ],
)
def test_images_are_the_integers(scale: float, zero: int, words: str, tmp_path: Path) -> None:
    found = import_model(model_of(tmp_path, scale, zero, (1, 3, 8, 8)))
    imported, preprocess = image_preprocess(found, None, None)
    assert preprocess is not None and preprocess.resize == (8, 8)
    assert imported.graph.source.notes[-1].startswith(f"uint8 images become {words}, as the input")
    table = preprocess.table(3)
    assert np.array_equal(quantize_input(table, scale, zero)[:, 0], PIXELS.astype(int) - 128)
    # The meaning is that of the words, but for half a step and for the tolerance of the scale.
    wanted = MEANINGS[words](PIXELS.astype(float))
    assert np.abs(table[:, 0] - wanted).max() <= 0.51 * scale + 0.008 * np.abs(wanted).max()
    SampleSpec((1, 8, 8, 3), (1, 3, 8, 8), "NCHW", 4, 4, scale, zero, preprocess)


@pytest.mark.parametrize(
    ("scale", "zero", "shape"),
    [
        (0.0186, -14, (1, 3, 8, 8)),
        (1.0, 0, (1, 3, 8, 8)),
        (1 / 255, 0, (1, 3, 8, 8)),
        (1.02 / 255, -128, (1, 3, 8, 8)),
        (1 / 255, -128, (1, 3, 1, 8)),
    ],
)
def test_what_is_not_clear_stays_the_users(
    scale: float, zero: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    found = import_model(model_of(tmp_path, scale, zero, shape))
    assert image_preprocess(found, None, None) == (found, None)
    _, preprocess = image_preprocess(found, 0.5, None)
    assert preprocess is not None and preprocess.mean == (0.5,)


def test_a_session_takes_images_as_they_are(tmp_path: Path) -> None:
    model = model_of(tmp_path, 1 / 127.5, -1, (1, 3, 8, 8))
    product = tinytrain.compile_model(model, output=tmp_path / "own", scheme="head")
    x = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3), dtype=np.uint8)
    real = ((x.astype(np.float32) - 127) / np.float32(127.5)).transpose(0, 3, 1, 2)
    y, found = np.arange(12) % 4, []
    for name, given in (("images", x), ("reals", real)):
        np.savez(tmp_path / f"{name}.npz", x=given, y=y)
        found.append(tinytrain.simulate(tmp_path / "own", data=tmp_path / f"{name}.npz", steps=12))
    assert found[0].weights_sha256 == found[1].weights_sha256
    assert found[0].clipped_inputs == 0.0 and found[0].warnings == ()
    preprocess = product.manifest.preprocess
    assert preprocess is not None and preprocess.std == pytest.approx((0.5,))
    with tinytrain.load(tmp_path / "own") as device:
        assert np.array_equal(device.predict(x), device.predict(real))

    # Where nothing is clear, the error says what to do.
    other = model_of(tmp_path, 0.0186, -14, (1, 3, 8, 8))
    tinytrain.compile_model(other, output=tmp_path / "other", scheme="head")
    with pytest.raises(DataError, match="compile with a mean and std for images"):
        tinytrain.simulate(tmp_path / "other", data=tmp_path / "images.npz", steps=1)
