"""Samples and targets of data files, checked against a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np

from tinytrain.data.inputs import CHUNK as CHUNK
from tinytrain.data.inputs import LEAVE_OUT, batch_shape, checked_samples
from tinytrain.data.labels import check_count, checked_labels, checked_pixels, checked_shares
from tinytrain.data.npz import keys_help, read_arrays
from tinytrain.data.packing import unpacked
from tinytrain.data.reach import check_reach
from tinytrain.data.several import input_keys, with_x
from tinytrain.data.spec import SampleSpec, quantize_input
from tinytrain.errors import DataError, Where
from tinytrain.losses import SampleTarget


@dataclass(frozen=True, eq=False)
class Dataset:
    """Checked samples and their targets.

    Samples stay as the file has them (a 32x32 uint8 image takes 3 KB, not the 196 KB of its
    128x128 float32 version) and are preprocessed when asked for, by index.

    Attributes:
        spec: the sample of the model that the data fits.
        x: finite float32 [N, H, W, C] in the model's units, or uint8 images [N, h, w, C].
        y: int32 labels [N] in 0 .. classes - 1; else float32 targets [N, output_size];
            None where the target is the sample itself (autoencoder) or nobody needs targets.
        name: of the file, for messages.
        notes: sentences on how the file was read, where it can be read in two ways.
    """

    spec: SampleSpec
    x: np.ndarray
    y: np.ndarray | None
    name: str = "the data"
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return int(self.x.shape[0])

    def samples(self, index: slice | np.ndarray) -> np.ndarray:
        """Chosen samples in the model's units, float32 [n, H, W, C]."""
        chosen = self.x[index]
        if chosen.dtype != np.uint8:
            return np.ascontiguousarray(chosen)
        return self._looked_up(chosen, self._image_table())

    def quantized(self, index: slice | np.ndarray) -> np.ndarray:
        """Chosen samples as the model's integers, int8 [n, H, W, C]."""
        spec = self.spec
        assert spec.scale is not None, "the input is not quantized yet"
        chosen = self.x[index]
        if chosen.dtype != np.uint8:
            return spec.quantize(np.ascontiguousarray(chosen))
        table = quantize_input(self._image_table(), spec.scale, spec.zero_point)
        return self._looked_up(chosen, table)

    def targets(self, index: slice | np.ndarray) -> np.ndarray:
        """Chosen targets: int32 labels [n], or float32 [n, output_size] for a regression."""
        if self.y is not None:
            return self.y[index]
        assert self.spec.classes == 0, "loaded without labels"
        return np.ascontiguousarray(self.spec.own_targets(self.samples(index)))

    def inputs(self) -> list[Dataset]:
        """The samples of each input of a model alone; of a model with one, the samples."""
        if not self.spec.parts:
            return [self]
        xs = unpacked(self.x, [part.shape for part in self.spec.parts])
        return [
            Dataset(part.spec(), x, None, f"{self.name}, input '{part.name}',")
            for part, x in zip(self.spec.parts, xs, strict=True)
        ]

    def chunks(self) -> Iterator[slice]:
        """Slices that cover all samples, `CHUNK` at a time."""
        return (slice(start, start + CHUNK) for start in range(0, len(self), CHUNK))

    def values(self) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
        """All values in the model's units, in parts: float32, and how often each occurs.

        None says once. Of images the table of each channel and its counts, before any resizing.
        """
        if self.x.dtype != np.uint8:
            yield from ((self.x[chunk], None) for chunk in self.chunks())
            return
        table = self._image_table()
        for channel in range(table.shape[1]):
            counts = np.zeros(256, np.int64)
            for chunk in self.chunks():
                counts += np.bincount(self.x[chunk, ..., channel].ravel(), minlength=256)
            yield table[:, channel], counts

    def _image_table(self) -> np.ndarray:
        assert self.spec.preprocess is not None
        return self.spec.preprocess.table(self.spec.shape[3])

    def _looked_up(self, images: np.ndarray, table: np.ndarray) -> np.ndarray:
        """Resized images with each value replaced by its entry of `table` [256, C]."""
        assert self.spec.preprocess is not None
        resized = self.spec.preprocess.resized(images)
        out = np.empty(resized.shape, dtype=table.dtype)
        for channel in range(resized.shape[3]):
            out[..., channel] = table[:, channel][resized[..., channel]]
        return out


def load_dataset(path: str | Path, spec: SampleSpec, *, need_targets: bool = True) -> Dataset:
    """Load an .npz file of `x` and `y` and check it against a model.

    `x` is float ([N] + the model's own shape, or NCHW, or NHWC where only that fits) in the
    model's units, or uint8 images [N, h, w, C], [N, C, h, w] or, for one channel, [N, h, w].
    `y` is an integer label for each sample; of several labels at once 0 to 1 for each,
    [N, output_size], or the one that applies, integers [N]; for a regression float targets in the
    output's own shape and layout, [N, output_size] with the channels innermost, or [N] for one
    output. Without `y` the target is the sample itself.
    A model with several inputs takes an array of each, by the input's name or as x0, x1, ...
    A pickle in the file is never loaded.

    Args:
        need_targets: False ignores `y` (calibration needs none).

    Raises:
        DataError: what is wrong with the file, in one sentence.
    """
    where = Where(file=str(path))
    keys = (*input_keys(spec), "y") if need_targets else input_keys(spec)
    arrays = with_x(read_arrays(path, where, keys), spec, where)
    if "x" not in arrays:
        _fail(where, "the data file has no array 'x'", keys_help(path))
    x = checked_samples(arrays["x"], spec, where)
    name = Path(path).name
    if not need_targets:
        return Dataset(spec, x, None, name)
    y = arrays.get("y")
    if y is None:
        if spec.wants in (SampleTarget.LABEL, SampleTarget.PIXELS):
            _fail(where, "the data file has no array 'y' of labels", keys_help(path))
        if spec.size != spec.output_size:
            _fail(
                where,
                f"the data file has no array 'y', and x cannot be its own target: the model takes "
                f"{spec.size} elements and gives {spec.output_size}",
                f"add y, float32 of shape [{x.shape[0]}, {spec.output_size}]",
            )
        return own_targets_fit(Dataset(spec, x, None, name), where)
    check_count(y, len(x), where)
    if spec.classes:
        return Dataset(spec, x, checked_labels(y, spec, where), name)
    return Dataset(spec, x, checked_targets(y, spec, where), name, _notes(y, spec, name))


def labelled(x: np.ndarray, y: np.ndarray, spec: SampleSpec, where: Where) -> Dataset:
    """Samples and labels that are in memory already, checked as `load_dataset` checks a file's.

    Raises:
        DataError: what is wrong with them.
    """
    return Dataset(spec, checked_samples(x, spec, where), checked_labels(y, spec, where))


def _fail(where: Where, what: str, help: str | None = None) -> NoReturn:
    raise DataError(what, where=where, help=help)


def checked_targets(y: np.ndarray, spec: SampleSpec, where: Where) -> np.ndarray:
    """Targets that are no single label, [N, ...] as given, in the order of the device.

    Raises:
        DataError: of another shape or dtype, not finite, or beyond what the outputs can be.
    """
    if spec.wants is SampleTarget.PIXELS:
        return checked_pixels(y, spec, where)
    if spec.wants is SampleTarget.SHARES:
        return checked_shares(y, spec, where)
    if y.dtype.kind not in "fiu":
        _fail(where, f"y has dtype {y.dtype}, but targets are float32")
    if len(spec.output_shape) > 2 and y.shape[1:] == spec.output_shape[1:]:
        y = spec.flat_outputs(y)
    if y.shape[1:] not in ((spec.output_size,), () if spec.output_size == 1 else None):
        _fail(
            where,
            f"y has shape {list(y.shape)}, but targets have shape {_target_shapes(y, spec)}",
        )
    with np.errstate(over="ignore"):
        targets = y.astype(np.float32).reshape(-1, spec.output_size)
    bad = ~np.isfinite(targets).all(axis=1)
    if bad.any():
        what = f"y holds a NaN or an infinite value, first in sample {int(np.argmax(bad))}"
        _fail(where, what, LEAVE_OUT)
    check_reach(targets, spec, where)
    return targets


def own_targets_fit(data: Dataset, where: Where) -> Dataset:
    """Samples that are their own targets, as of an autoencoder, if they can be.

    Raises:
        DataError: a sample is beyond what the outputs can be.
    """
    if data.spec.wants is SampleTarget.SHARES:
        for chunk in data.chunks():
            checked_shares(data.targets(chunk), data.spec, where)
    return data


def _target_shapes(y: np.ndarray, spec: SampleSpec) -> str:
    flat = str([y.shape[0], spec.output_size])
    own = str([y.shape[0], *spec.output_shape[1:]])
    return flat if len(spec.output_shape) <= 2 else f"{own}, as the model's output"


def _notes(y: np.ndarray, spec: SampleSpec, name: str) -> tuple[str, ...]:
    is_map = spec.wants is not SampleTarget.PIXELS and spec.is_output_reordered
    if y.ndim != 2 or not is_map:
        return ()
    own = batch_shape(spec.output_shape[1:])
    return (
        f"y of {name} is flat, and its elements are taken in the order in which the device has "
        f"them, the channels innermost; give it as {own}, the output's own shape, if it is not",
    )
