"""Data of an experiment in every form that users have it."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.experiments import TEST, TRAIN, write_data
from tinytrain.data import Preprocess, SampleSpec
from tinytrain.errors import DataError
from tinytrain.experiments.data import old_samples, open_data
from tinytrain.experiments.samples import input_coverage, integer_samples
from tinytrain.experiments.spec import DataSpec

SPEC = SampleSpec(
    shape=(1, 6, 6, 3),
    source_shape=(1, 3, 6, 6),
    source_layout="NCHW",
    output_size=3,
    classes=3,
    scale=1 / 128,
    zero_point=-3,
    preprocess=Preprocess((6, 6), (0.5,), (0.5,)),
)


def png(image: np.ndarray) -> bytes:
    """A file of an RGB image."""
    out = io.BytesIO()
    Image.fromarray(image).save(out, "PNG")
    return out.getvalue()


def image_files(data: Path) -> dict[str, bytes]:
    """The arrays of `write_data` as files in class folders, in the order of their labels."""
    arrays = np.load(data)
    return {
        f"set/{folder}/class {label}/{index:03}.png": png(image)
        for part, folder in (("train", "train"), ("test", "val"))
        for index, (image, label) in enumerate(
            zip(arrays[f"x_{part}"], arrays[f"y_{part}"], strict=True)
        )
    }


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An .npz file."""
    write_data(tmp_path / "data.npz")
    return tmp_path / "data.npz"


def test_files_of_images_are_the_same_as_arrays(tmp_path: Path, data: Path) -> None:
    files = image_files(data)
    for name, content in files.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    arrays = np.load(data)
    np.savez(tmp_path / "train.npz", x=arrays["x_train"], y=arrays["y_train"])
    np.savez(tmp_path / "test.npz", x=arrays["x_test"], y=arrays["y_test"])
    found = []
    for number, spec in enumerate(
        (
            DataSpec("d", data),
            DataSpec("d", train=tmp_path / "train.npz", test=tmp_path / "test.npz"),
            DataSpec("d", tmp_path / "folder"),
            DataSpec("d", tmp_path / "data.zip"),
        )
    ):
        with open_data(spec) as opened:
            assert opened.classes == 3
            samples, _ = integer_samples(opened, SPEC, tmp_path / f"cache-{number}")
        rows = [
            sorted((int(label), x.tobytes()) for label, x in zip(y, xs, strict=True))
            for xs, y in (
                (samples.train_x, samples.train_y),
                (samples.test_x, samples.test_y),
            )
        ]
        assert (len(rows[0]), len(rows[1])) == (TRAIN, TEST)
        assert samples.train_x.shape[1:] == (6, 6, 3) and samples.train_x.dtype == np.int8
        found.append(rows)
    assert all(rows == found[0] for rows in found)


def test_limits_take_samples_from_everywhere(tmp_path: Path, data: Path) -> None:
    with open_data(DataSpec("d", data)) as opened:
        whole, key = integer_samples(opened, SPEC, tmp_path / "cache")
        few, other = integer_samples(opened.limited(4, None), SPEC, tmp_path / "cache")
    assert key != other
    chosen = [0, 7, 15, 23]
    assert np.array_equal(few.train_x, whole.train_x[chosen])
    assert np.array_equal(few.train_y, whole.train_y[chosen])
    assert np.array_equal(few.test_x, whole.test_x)


def test_what_was_prepared_is_used_again(tmp_path: Path, data: Path) -> None:
    cache = tmp_path / "cache"
    with open_data(DataSpec("d", data)) as opened:
        integer_samples(opened, SPEC, cache)
        before = {file: file.stat().st_mtime_ns for file in cache.glob("*.npy")}
        integer_samples(opened, SPEC, cache)
    assert before and before == {file: file.stat().st_mtime_ns for file in cache.glob("*.npy")}


def arrays_without(data: Path, **changed: np.ndarray | None) -> dict[str, np.ndarray]:
    """The arrays with some of them changed or left out."""
    with np.load(data) as found:
        arrays = {**found, **changed}
    return {name: array for name, array in arrays.items() if array is not None}


@pytest.mark.parametrize(
    ("changed", "wanted"),
    [
        ({"y_train": None}, "no array 'y_train'"),
        ({"y_test": np.arange(TEST) % 9}, "largest label to learn from is 2"),
        ({"y_train": np.zeros(TRAIN, int)}, "all of one class"),
        ({"y_train": np.arange(TRAIN) - 1}, "holds the label -1"),
        ({"y_train": np.zeros(TRAIN)}, "not a list of integer labels"),
        ({"y_test": np.zeros(3, int)}, "one for each of 'x_test'"),
        ({"x_test": np.zeros((0, 6, 6, 3), np.uint8), "y_test": np.zeros(0, int)}, "is empty"),
    ],
)
def test_arrays_that_do_not_fit(
    tmp_path: Path, data: Path, changed: dict[str, np.ndarray | None], wanted: str
) -> None:
    np.savez(tmp_path / "wrong.npz", **arrays_without(data, **changed))
    with pytest.raises(DataError, match=wanted), open_data(DataSpec("d", tmp_path / "wrong.npz")):
        pass


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"a.png": b""}, "no class folders"),
        ({"train/a/1.png": b"", "train/b/1.png": b""}, "no class folders"),
        ({"train/a/1.png": b"", "val/c/1.png": b""}, "class 'c' is in 'val' but not in 'train'"),
        (
            {"train/a/1.png": b"no image", "train/b/1.png": b"", "val/a/1.png": b""},
            "image 'train/a/1.png' cannot be read",
        ),
    ],
)
def test_folders_that_do_not_fit(tmp_path: Path, files: dict[str, bytes], wanted: str) -> None:
    for name, content in files.items():
        (tmp_path / "d" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / name).write_bytes(content)
    with pytest.raises(DataError, match=wanted), open_data(DataSpec("d", tmp_path / "d")) as found:
        integer_samples(found, SPEC, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("*.npy"))


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    (tmp_path / "d.csv").write_text("1,2")
    with (
        pytest.raises(DataError, match="neither an"),
        open_data(DataSpec("d", tmp_path / "d.csv")),
    ):
        pass


def test_data_that_is_scaled_otherwise_is_told(tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(20, 3, 6, 6)).astype(np.float32)
    y = np.arange(20) % 3
    spec = replace(SPEC, scale=4 / 128, zero_point=0, preprocess=None)
    arrays = {"x_train": x, "y_train": y, "x_test": x * 255, "y_test": y}
    np.savez(tmp_path / "data.npz", **arrays)
    with open_data(DataSpec("d", tmp_path / "data.npz")) as found:
        for _ in range(2):
            covered = input_coverage(found, spec, tmp_path / "cache")
            assert covered["train"].share < 0.01 and covered["test"].share > 0.97
            assert covered["train"].seen == x.size
            assert covered["train"].warning(spec, "d, train") is None
            assert "of d, test lie outside" in str(covered["test"].warning(spec, "d, test"))
    assert len(list((tmp_path / "cache").glob("coverage-*.json"))) == 2


def test_samples_of_an_old_task_are_judged_apart(tmp_path: Path) -> None:
    """They count neither into the warning about the test samples nor hide what is odd there."""
    x = np.random.default_rng(0).normal(size=(20, 3, 6, 6)).astype(np.float32)
    y = np.arange(20) % 3
    spec = replace(SPEC, scale=4 / 128, zero_point=0, preprocess=None)
    np.savez(tmp_path / "data.npz", x_train=x, y_train=y, x_test=x[:9], y_test=y[:9])
    np.savez(tmp_path / "old.npz", x=255 * x, y=y)
    given = DataSpec("d", tmp_path / "data.npz", eval_old=tmp_path / "old.npz")
    old = old_samples(given)
    assert old is not None
    with open_data(given) as opened:
        found = input_coverage(opened.with_old(old, 7), spec, tmp_path / "cache")
        assert list(found) == ["train", "test", "eval_old"]
        assert found["test"].seen == x[:9].size and found["eval_old"].seen == x[:7].size
        assert found["test"].share < 0.01 and found["eval_old"].share > 0.97
        assert list(input_coverage(opened, spec, tmp_path / "cache")) == ["train", "test"]
