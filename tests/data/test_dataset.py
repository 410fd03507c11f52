"""Loading of .npz files: what is accepted, in which layout, and each way to be refused."""

from __future__ import annotations

import io
import pickle
import re
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinytrain.data import Preprocess, SampleSpec, load_dataset, quantize_input
from tinytrain.errors import DataError, UsageError

IMAGE = SampleSpec(
    shape=(1, 4, 5, 3),
    source_shape=(1, 3, 4, 5),
    source_layout="NCHW",
    output_size=7,
    classes=7,
    scale=0.5,
    zero_point=3,
    preprocess=Preprocess(resize=(4, 5), mean=(0.5, 0.25, 0.0), std=(0.5, 0.25, 1.0)),
)
SIGNAL = SampleSpec(
    shape=(1, 1, 8, 6),
    source_shape=(1, 6, 8),
    source_layout="NCW",
    output_size=3,
    classes=3,
    scale=0.1,
)
VECTOR = SampleSpec(
    shape=(1, 1, 1, 10),
    source_shape=(1, 10),
    source_layout="NC",
    output_size=10,
    classes=0,
    scale=0.1,
)
GREY = SampleSpec(
    shape=(1, 6, 6, 1),
    source_shape=(1, 6, 6, 1),
    source_layout="NHWC",
    output_size=2,
    classes=2,
    scale=1 / 128,
    zero_point=-128,
    preprocess=Preprocess(),
)


def saved(folder: Path, **arrays: object) -> Path:
    path = folder / "samples.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return path


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def test_own_layout_is_taken_to_nhwc(tmp_path: Path) -> None:
    x = normal(2, 3, 4, 5)
    data = load_dataset(saved(tmp_path, x=x, y=[6, 0]), IMAGE)
    assert len(data) == 2
    np.testing.assert_array_equal(data.samples(slice(None)), x.transpose(0, 2, 3, 1))
    np.testing.assert_array_equal(data.targets(slice(None)), [6, 0])
    assert data.targets(slice(None)).dtype == np.int32


def test_nhwc_is_taken_where_only_that_fits(tmp_path: Path) -> None:
    x = normal(2, 4, 5, 3)
    data = load_dataset(saved(tmp_path, x=x, y=[0, 0]), IMAGE)
    np.testing.assert_array_equal(data.samples(np.array([1])), x[1:])


def test_own_shape_comes_before_nchw_and_nhwc(tmp_path: Path) -> None:
    ambiguous = SampleSpec((1, 2, 2, 2), (1, 2, 2, 2), "NCHW", 2, 2, scale=1.0)
    x = normal(1, 2, 2, 2)
    data = load_dataset(saved(tmp_path, x=x, y=[0]), ambiguous)
    np.testing.assert_array_equal(data.samples(slice(None)), x.transpose(0, 2, 3, 1))


def test_signal_becomes_a_map_of_height_one(tmp_path: Path) -> None:
    x = normal(4, 6, 8)
    data = load_dataset(saved(tmp_path, x=x, y=[0, 1, 2, 0]), SIGNAL)
    np.testing.assert_array_equal(data.samples(slice(None))[:, 0], x.transpose(0, 2, 1))
    four = load_dataset(saved(tmp_path, x=x[:, :, None], y=[0, 1, 2, 0]), SIGNAL)
    np.testing.assert_array_equal(four.samples(slice(None)), data.samples(slice(None)))


def test_quantized_samples_follow_the_rule(tmp_path: Path) -> None:
    x = normal(2, 3, 4, 5)
    x[0, 0, 0, :5] = [0.25, 0.75, -0.25, 1e38, -1e38]  # ties go to even; far away is clamped
    data = load_dataset(saved(tmp_path, x=x.astype(np.float64), y=[0, 0]), IMAGE)
    got = data.quantized(slice(None))
    assert got.dtype == np.int8
    assert got[0, 0, :, 0].tolist() == [3, 5, 3, 127, -128]
    np.testing.assert_array_equal(got[1], quantize_input(x[1].transpose(1, 2, 0), 0.5, 3))


@given(
    st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1),
    st.floats(2**-20, 16.0, width=32),
    st.integers(-128, 127),
)
@settings(deadline=None)
def test_quantization_against_exact_rounding(
    values: list[float], scale: float, zero_point: int
) -> None:
    got = quantize_input(np.array(values, dtype=np.float32), scale, zero_point)
    for value, q in zip(values, got.tolist(), strict=True):
        with np.errstate(over="ignore"):
            quotient = float(np.float32(value) / np.float32(scale))
        exact = round(quotient) if abs(quotient) < 1e6 else int(np.sign(quotient) * 1e6)
        assert q == max(-128, min(127, exact + zero_point))


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_images_are_resized_and_scaled(tmp_path: Path, layout: str) -> None:
    images = np.zeros((2, 9, 9, 3), dtype=np.uint8)
    images[0, ..., 0] = 255
    images[1, ..., 1] = 51
    stored = images if layout == "NHWC" else images.transpose(0, 3, 1, 2)
    data = load_dataset(saved(tmp_path, x=stored, y=[1, 2]), IMAGE)
    got = data.samples(slice(None))
    assert got.shape == (2, 4, 5, 3) and got.dtype == np.float32
    np.testing.assert_allclose(got[0], np.broadcast_to([1.0, -1.0, 0.0], (4, 5, 3)), atol=1e-6)
    np.testing.assert_allclose(got[1], np.broadcast_to([-1.0, -0.2, 0.0], (4, 5, 3)), atol=1e-6)


def test_quantized_images_equal_quantized_samples(tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)
    data = load_dataset(saved(tmp_path, x=images, y=[0] * 5), IMAGE)
    np.testing.assert_array_equal(
        data.quantized(slice(1, 4)), quantize_input(data.samples(slice(1, 4)), 0.5, 3)
    )


@pytest.mark.parametrize("shape", [(3, 6, 6), (3, 6, 6, 1), (3, 1, 6, 6)])
def test_grey_images_with_and_without_a_channel(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(3).integers(0, 256, (3, 6, 6), dtype=np.uint8)
    data = load_dataset(saved(tmp_path, x=images.reshape(shape), y=[0, 1, 0]), GREY)
    expected = images[..., None].astype(np.float32) / np.float32(255)
    np.testing.assert_array_equal(data.samples(slice(None)), expected)


def test_many_images_need_little_memory(tmp_path: Path) -> None:
    spec = SampleSpec(
        (1, 128, 128, 3), (1, 3, 128, 128), "NCHW", 2, 2, 0.01, preprocess=Preprocess((128, 128))
    )
    path = saved(tmp_path, x=np.zeros((10_000, 32, 32, 3), np.uint8), y=np.zeros(10_000, np.int64))
    tracemalloc.start()
    try:
        data = load_dataset(path, spec)
        assert data.quantized(next(data.chunks())).shape == (256, 128, 128, 3)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100e6, "all samples at once would be 2 GB"


def test_sample_is_its_own_target_without_y(tmp_path: Path) -> None:
    x = normal(3, 10)
    data = load_dataset(saved(tmp_path, x=x), VECTOR)
    np.testing.assert_array_equal(data.targets(slice(1, None)), x[1:])


def test_regression_targets(tmp_path: Path) -> None:
    x, y = normal(3, 10), normal(3, 10)
    data = load_dataset(saved(tmp_path, x=x, y=y), VECTOR)
    np.testing.assert_array_equal(data.targets(slice(None)), y)
    one = SampleSpec((1, 1, 1, 10), (1, 10), "NC", 1, 0, 0.1)
    data = load_dataset(saved(tmp_path, x=x, y=np.array([1, 2, 3])), one)
    np.testing.assert_array_equal(data.targets(slice(None)), [[1.0], [2.0], [3.0]])


def test_calibration_needs_no_targets(tmp_path: Path) -> None:
    data = load_dataset(saved(tmp_path, x=normal(2, 3, 4, 5)), IMAGE, need_targets=False)
    assert data.y is None


X = normal(2, 3, 4, 5)
NAN = X.copy()
NAN[1, 0, 0, 0] = np.nan
U8 = np.zeros((2, 9, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("spec", "arrays", "message"),
    [
        (IMAGE, {"y": [0, 0]}, "the data file has no array 'x'"),
        (IMAGE, {"x": X}, "the data file has no array 'y' of labels"),
        (
            IMAGE,
            {"x": X[:, :2], "y": [0, 0]},
            "x has shape [2, 2, 4, 5], but the model takes [N, 3, 4, 5] or [N, 4, 5, 3]",
        ),
        (
            SIGNAL,
            {"x": normal(2, 6, 9), "y": [0, 0]},
            "x has shape [2, 6, 9], but the model takes [N, 6, 8] or [N, 6, 1, 8] or [N, 1, 8, 6]",
        ),
        (IMAGE, {"x": np.float32(1), "y": [0]}, "x is a single number"),
        (IMAGE, {"x": X[:0], "y": []}, "the data file holds no samples"),
        (IMAGE, {"x": U8[:0], "y": []}, "the data file holds no samples"),
        (IMAGE, {"x": NAN, "y": [0, 0]}, "x holds a NaN or an infinite value, first in sample 1"),
        (IMAGE, {"x": X.astype(np.float64) + 1e300, "y": [0, 0]}, "first in sample 0"),
        (IMAGE, {"x": X.astype(np.int8), "y": [0, 0]}, "x has dtype int8"),
        (IMAGE, {"x": X.astype(str), "y": [0, 0]}, "x has dtype <U32"),
        (IMAGE, {"x": X, "y": [0, 7]}, "label 7 of sample 1 is out of range"),
        (IMAGE, {"x": X, "y": [-1, 0]}, "label -1 of sample 0 is out of range"),
        (
            IMAGE,
            {"x": X, "y": np.array([2**63, 0], np.uint64)},
            f"label {2**63} of sample 0 is out of range",
        ),
        (IMAGE, {"x": X, "y": [0.0, 1.0]}, "y has dtype float64, but labels are integers"),
        (IMAGE, {"x": X, "y": [[0], [1]]}, "y has shape [2, 1], but labels have shape [2]"),
        (IMAGE, {"x": X, "y": [0, 1, 2]}, "x holds 2 samples but y has shape [3]"),
        (IMAGE, {"x": X, "y": 0}, "x holds 2 samples but y has shape []"),
        (IMAGE, {"x": U8[..., :2], "y": [0, 0]}, "but uint8 images for this model have shape"),
        (GREY, {"x": U8, "y": [0, 0]}, "[N, h, w, 1] or [N, 1, h, w], or [N, h, w]"),
        (GREY, {"x": U8[..., 0], "y": [0, 0]}, "x holds images of [9, 9], but the model takes"),
        (IMAGE, {"x": U8[:, :0], "y": [0, 0]}, "its images are empty"),
        (SIGNAL, {"x": U8, "y": [0, 0]}, "compiled without a preprocessing"),
        (VECTOR, {"x": normal(2, 10), "y": normal(2, 9)}, "targets have shape [2, 10]"),
        (VECTOR, {"x": normal(2, 10), "y": [0, 1]}, "y has shape [2], but targets have shape"),
        (
            VECTOR,
            {"x": normal(2, 10), "y": np.full((2, 10), np.inf)},
            "y holds a NaN or an infinite",
        ),
        (VECTOR, {"x": normal(1, 10), "y": np.array([["a"] * 10])}, "y has dtype <U1"),
        (
            SampleSpec((1, 1, 1, 10), (1, 10), "NC", 4, 0, 0.1),
            {"x": normal(2, 10)},
            "x cannot be its own target: the model takes 10 elements and gives 4",
        ),
        (IMAGE, {"x": X, "y": np.array([{}, None])}, "array 'y' holds Python objects"),
    ],
)
def test_refused_arrays(
    tmp_path: Path, spec: SampleSpec, arrays: dict[str, object], message: str
) -> None:
    with np.errstate(all="ignore"):
        path = saved(tmp_path, **arrays)
    with pytest.raises(DataError, match=re.escape(message)) as caught:
        load_dataset(path, spec)
    assert caught.value.where is not None and caught.value.where.file == str(path)


def test_missing_key_names_what_is_there(tmp_path: Path) -> None:
    path = saved(tmp_path, x_train=X, y_train=[0, 0])
    with pytest.raises(DataError, match=r"help: the file holds x_train, y_train"):
        load_dataset(path, IMAGE)


def test_no_path() -> None:
    with pytest.raises(UsageError, match="named by its path, got a 'tuple'"):
        load_dataset((np.zeros((2, 4)), np.zeros(2, int)), IMAGE)  # type: ignore[arg-type]


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        load_dataset(tmp_path / "none.npz", IMAGE)
    with pytest.raises(DataError, match="not a regular file"):
        load_dataset(tmp_path, IMAGE)


class Trap:
    """A pickle that would run code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (pytest.fail, ("the pickle was loaded",))


@pytest.mark.parametrize("content", [b"", b"x,y\n1,2\n", pickle.dumps(Trap()), b"\x93NUMPY\x01\0"])
def test_not_an_npz(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "data.npz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not an \.npz file"):
        load_dataset(path, IMAGE)


def test_pickles_inside_are_never_loaded(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", pickle.dumps(Trap()))
    with pytest.raises(DataError, match="damaged at array 'x': it is not an array"):
        load_dataset(path, IMAGE)
    np.savez(path, x=np.array([Trap(), 1], dtype=object), y=[0, 0])
    with pytest.raises(DataError, match="holds Python objects, which are never loaded"):
        load_dataset(path, IMAGE)


def test_header_that_promises_too_much(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        member, {"descr": "<f4", "fortran_order": False, "shape": (2**44, 3, 4, 5)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", member.getvalue())
    with pytest.raises(DataError, match="array 'x' of the data file is too large"):
        load_dataset(path, IMAGE)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [(b"'shape'", b"3"), (b"3, 4", b"'3', 4"), (b"3, 4", b"3, 1e9"), (b"'<f8'", b"'<f8', 'x': y")],
)
def test_header_that_is_no_header(tmp_path: Path, right: bytes, wrong: bytes) -> None:
    """NumPy ends each of them in another exception."""
    member = io.BytesIO()
    np.save(member, np.zeros((3, 4)))
    content = member.getvalue()
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content.replace(right, wrong).replace(b" \n", b"\n"))
    with pytest.raises(DataError, match="damaged at array 'x'"):
        load_dataset(path, IMAGE)


@given(st.data())
@settings(deadline=None, max_examples=300)
def test_damaged_files_give_data_errors_or_load(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, x=X, y=np.array([0, 1]))
    content = bytearray(buffer.getvalue())
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(content)), st.integers(0, len(content))))
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    path.write_bytes(content[:cut])
    try:
        assert len(load_dataset(path, IMAGE)) == 2
    except DataError as error:
        assert "\n" not in error.what
