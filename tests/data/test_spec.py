"""What SampleSpec and Preprocess accept."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from tinytrain.data import Dataset, Preprocess, SampleSpec
from tinytrain.data.spec import InputPart
from tinytrain.errors import InternalError, UsageError


def test_a_sample_has_as_many_elements_as_its_shape() -> None:
    assert SampleSpec((1, 128, 96, 3), (1, 3, 128, 96), "NCHW", 10, 10).size == 128 * 96 * 3


def test_no_samples_are_quantized_to_none() -> None:
    spec = SampleSpec((1, 2, 3, 4), (1, 4, 2, 3), "NCHW", 10, 10, scale=0.5, zero_point=0)
    assert spec.quantize(np.zeros((0, 2, 3, 4), np.float32)).shape == (0, 2, 3, 4)


def test_no_samples_of_several_inputs_are_taken_apart_to_none() -> None:
    parts = (
        InputPart("map", (1, 2, 3, 4), (1, 4, 2, 3), "NCHW", scale=0.5),
        InputPart("vector", (1, 1, 1, 5), (1, 5), "NC", scale=0.25),
    )
    spec = SampleSpec((1, 1, 1, 29), (1, 29), "NC", 10, 10, scale=0.5, parts=parts)
    none = np.zeros((0, 1, 1, 29), np.float32)
    assert [one.x.shape for one in Dataset(spec, none, None).inputs()] == [
        (0, 2, 3, 4),
        (0, 1, 1, 5),
    ]
    assert spec.quantize(none).shape == none.shape


@pytest.mark.parametrize(
    ("source_shape", "source_layout"),
    [
        ((1, 3, 96, 128), "NCHW"),
        ((3, 128, 96), "CHW"),
        ((1, 3, 128), "NCH"),
        ((1, 3, 128, 96), "NCH"),
        ((1, 3, 128, 96), "NCHQ"),
        ((1, 1, 3, 128, 96), "NNCHW"),
    ],
)
def test_source_that_does_not_describe_the_input(
    source_shape: tuple[int, ...], source_layout: str
) -> None:
    with pytest.raises(InternalError, match="does not describe"):
        SampleSpec((1, 128, 96, 3), source_shape, source_layout, 10, 10)


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        (Preprocess((96, 128)), r"resizes to \[96, 128\], but the model takes images of"),
        (Preprocess(mean=(0.0, 0.0)), "2 means and 1 stds, but the model takes 3 channels"),
    ],
)
def test_preprocessing_for_another_model(preprocess: Preprocess, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        SampleSpec((1, 128, 96, 3), (1, 3, 128, 96), "NCHW", 10, 10, preprocess=preprocess)


@pytest.mark.parametrize(
    "arguments",
    [
        {"resize": (0, 4)},
        {"mean": ()},
        {"mean": (float("nan"),)},
        {"std": (1.0, 0.0, 1.0)},
        {"std": (float("inf"),)},
        {"std": (-1.0,)},
    ],
)
def test_senseless_preprocessing(arguments: dict[str, tuple[float, ...]]) -> None:
    with pytest.raises(UsageError):
        Preprocess(**arguments)  # type: ignore[arg-type]


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_resizing_is_pillows_bilinear_on_each_channel(channels: int) -> None:
    images = np.random.default_rng(4).integers(0, 256, (2, 11, 7, channels), dtype=np.uint8)
    got = Preprocess((5, 9)).resized(images)
    assert got.shape == (2, 5, 9, channels)
    for image, resized in zip(images, got, strict=True):
        for channel in range(channels):
            plane = Image.fromarray(np.ascontiguousarray(image[..., channel]))
            expected = plane.resize((9, 5), Image.Resampling.BILINEAR)
            np.testing.assert_array_equal(resized[..., channel], np.asarray(expected))


def test_table_is_float32_arithmetic_step_by_step() -> None:
    table = Preprocess(mean=(0.485, 0.456), std=(0.229, 0.224)).table(2)
    value = np.float32(200) / np.float32(255)
    expected = (value - np.float32(0.456)) / np.float32(0.224)
    assert table.dtype == np.float32
    assert table[200, 1] == expected


@pytest.mark.parametrize(
    ("shape", "layout"),
    [((1, 3, 4, 5), "NCHW"), ((1, 4, 5, 3), "NHWC"), ((1, 3, 5), "NCW"), ((1, 60), "NC")],
)
def test_outputs_have_the_shape_of_the_file(shape: tuple[int, ...], layout: str) -> None:
    size = math.prod(shape)
    spec = SampleSpec((1, 1, 1, 2), (1, 2), "NC", size, 0, output_shape=shape, output_layout=layout)
    shaped = np.arange(2 * size).reshape(2, *shape[1:])
    letters = "".join(c for c in "HWC" if c in layout)
    inner = shaped.transpose(0, *(layout.index(c) for c in letters)).reshape(2, size)
    assert np.array_equal(spec.shaped_outputs(inner), shaped)
    assert np.array_equal(spec.flat_outputs(shaped), inner)


def test_a_vector_under_any_shape_keeps_its_order() -> None:
    spec = SampleSpec(
        (1, 1, 1, 2), (1, 2), "NC", 6, 6, output_shape=(1, 6, 1, 1), output_layout="NCCC"
    )
    assert spec.shaped_outputs(np.arange(12).reshape(2, 6)).shape == (2, 6, 1, 1)
