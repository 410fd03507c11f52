"""Labelled data of an experiment, in the form that the user has."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np
from PIL import Image, UnidentifiedImageError

from tinytrain.data.npz import read_arrays
from tinytrain.errors import DataError, Where
from tinytrain.experiments.spec import DataSpec
from tinytrain.experiments.splits import Joined, Split, evenly, of_each_class, spread

IMAGES = (".bmp", ".jpeg", ".jpg", ".png")
"""Endings of the files of a class folder that are read."""

TEST_FOLDERS = ("val", "test", "validation")
"""Names of the folder of test images beside `train`, the first that is there counting."""


@dataclass(frozen=True, eq=False)
class Arrays:
    """A `Split` of an .npz file."""

    where: Where
    x: np.ndarray
    labels: np.ndarray

    def samples(self, index: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """See `Split`; arrays have one size."""
        chosen: np.ndarray = self.x[index]
        return chosen


@dataclass(frozen=True, eq=False)
class ImageFiles:
    """A `Split` of image files, a folder for each class.

    Attributes:
        names: of the files.
        read: gives the bytes of a file by its name.
    """

    where: Where
    names: tuple[str, ...]
    labels: np.ndarray
    read: Callable[[str], bytes]

    def samples(self, index: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """See `Split`: RGB, by the filter of `Preprocess`."""
        height, width = size
        out = np.empty((len(index), height, width, 3), np.uint8)
        for row, place in enumerate(index):
            name = self.names[place]
            try:
                with Image.open(io.BytesIO(self.read(name))) as image:
                    whole = image.convert("RGB")
            except (OSError, ValueError, UnidentifiedImageError, zipfile.BadZipFile) as error:
                raise DataError(
                    f"image '{name}' cannot be read: {error}", where=self.where
                ) from error
            if whole.size != (width, height):
                whole = whole.resize((width, height), Image.Resampling.BILINEAR)
            out[row] = np.asarray(whole)
        return out


@dataclass(frozen=True, eq=False)
class Data:
    """Both splits.

    Attributes:
        classes: the number of classes, at least 2.
        digest: SHA-256 of the files, 64 hex digits.
        old: of the test samples, those of an old task: the last ones.
    """

    train: Split
    test: Split
    classes: int
    digest: str
    old: int = 0

    def limited(self, train: int | None, test: int | None) -> Data:
        """At most that many samples of each split, evenly spread over it."""
        return replace(self, train=spread(self.train, train), test=spread(self.test, test))

    def with_few(self, of_each: int | None) -> Data:
        """With at most that many samples of each class to learn from; None keeps all."""
        return self if of_each is None else replace(self, train=of_each_class(self.train, of_each))

    def with_old(self, old: Split, limit: int | None) -> Data:
        """With samples of an old task behind the test samples; their labels must be classes."""
        if old.labels.max() >= self.classes:
            raise DataError(
                f"the samples of the old task have label {old.labels.max()}, "
                f"but the largest label to learn from is {self.classes - 1}",
                where=old.where,
                help="give both tasks one numbering of classes: a class of the old task needs at "
                "least one sample to learn from with a label as large",
            )
        chosen = spread(old, limit)
        return replace(self, test=Joined(self.test, chosen), old=len(chosen.labels))


@contextmanager
def open_data(spec: DataSpec) -> Iterator[Data]:
    """The data of an experiment; images are read from their files as long as it is open.

    Raises:
        DataError: something is missing or cannot be read.
    """
    digest = digest_of(spec)
    if spec.path is None:
        assert spec.train is not None and spec.test is not None
        yield _data(_arrays(spec.train, "x", "y"), _arrays(spec.test, "x", "y"), digest)
    elif spec.path.is_dir():
        names = sorted(
            file.relative_to(spec.path).as_posix()
            for file in spec.path.rglob("*")
            if file.is_file()
        )
        root = spec.path
        yield _folders(names, lambda name: (root / name).read_bytes(), Where(str(root)), digest)
    elif spec.path.suffix == ".npz":
        yield _data(
            _arrays(spec.path, "x_train", "y_train"), _arrays(spec.path, "x_test", "y_test"), digest
        )
    else:
        try:
            archive = zipfile.ZipFile(spec.path)
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(
                "the data is neither an .npz file, nor a .zip file, nor a folder",
                where=Where(str(spec.path)),
            ) from error
        with archive:
            names = sorted(archive.namelist())
            yield _folders(names, archive.read, Where(str(spec.path)), digest)


def old_samples(spec: DataSpec) -> Split | None:
    """The samples of the old task; None where the data names none.

    Raises:
        DataError: they cannot be read.
    """
    return None if spec.eval_old is None else _arrays(spec.eval_old, "x", "y")


def digest_of(spec: DataSpec) -> str:
    """SHA-256 of all that the data consists of, 64 hex digits."""
    digest = hashlib.sha256()
    if spec.of_each_class is not None:
        digest.update(f"{spec.of_each_class} of each class".encode())
    for path in spec.files():
        if path.is_dir():
            for file in sorted(file for file in path.rglob("*") if file.is_file()):
                name = file.relative_to(path).as_posix().encode(errors="surrogateescape")
                digest.update(name + b"\0" + hashlib.sha256(file.read_bytes()).digest())
        else:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _arrays(path: Path, x: str, y: str) -> Arrays:
    where = Where(str(path))
    found = read_arrays(path, where, (x, y))
    for name in (x, y):
        if name not in found:
            raise DataError(f"the data file has no array '{name}'", where=where)
    labels = found[y]
    if labels.ndim != 1 or labels.dtype.kind not in "iu" or len(labels) != len(found[x]):
        raise DataError(
            f"array '{y}' is not a list of integer labels, one for each of '{x}'", where=where
        )
    if labels.size == 0 or labels.min() < 0:
        what = "is empty" if labels.size == 0 else f"holds the label {labels.min()}"
        raise DataError(f"array '{y}' {what}", where=where)
    return Arrays(where, found[x], labels.astype(np.int64))


def _data(train: Split, test: Split, digest: str) -> Data:
    classes = int(train.labels.max()) + 1
    if classes < 2:
        raise DataError("the samples to learn from are all of one class", where=train.where)
    if test.labels.max() >= classes:
        raise DataError(
            f"the test samples have label {test.labels.max()}, "
            f"but the largest label to learn from is {classes - 1}",
            where=test.where,
        )
    return Data(train, test, classes, digest)


def _folders(names: list[str], read: Callable[[str], bytes], where: Where, digest: str) -> Data:
    """Sorts files PREFIX/train/CLASS/NAME and PREFIX/val/CLASS/NAME into their parts."""
    parts: dict[str, dict[str, list[str]]] = {}
    for name in names:
        pieces = PurePosixPath(name).parts
        if len(pieces) >= 3 and pieces[-1].lower().endswith(IMAGES):
            parts.setdefault(pieces[-3], {}).setdefault(pieces[-2], []).append(name)
    test = next((name for name in TEST_FOLDERS if name in parts), None)
    if "train" not in parts or test is None:
        raise DataError(
            "the data holds no class folders of images",
            where=where,
            help="lay them out as train/CLASS/IMAGE.jpg and val/CLASS/IMAGE.jpg",
        )
    classes = sorted(parts["train"])
    unknown = sorted(set(parts[test]) - set(classes))
    if unknown:
        raise DataError(f"class '{unknown[0]}' is in '{test}' but not in 'train'", where=where)
    found = [_image_files(parts[part], classes, read, where) for part in ("train", test)]
    return _data(found[0], found[1], digest)


def _image_files(
    part: Mapping[str, list[str]], classes: list[str], read: Callable[[str], bytes], where: Where
) -> ImageFiles:
    files = [(name, k) for k, label in enumerate(classes) for name in part.get(label, ())]
    labels = np.array([label for _, label in files], np.int64)
    return ImageFiles(where, tuple(name for name, _ in files), labels, read)


def calibration_samples(data: Data, size: tuple[int, int], limit: int) -> tuple[np.ndarray, ...]:
    """At most `limit` samples to learn from, evenly spread, as the data has them; their labels."""
    index = evenly(len(data.train.labels), limit)
    return data.train.samples(index, size), data.train.labels[index]
