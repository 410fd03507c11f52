"""Targets that are labels: a class for each sample, or several labels at once, each from 0 to 1."""

from __future__ import annotations

import numpy as np

from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, Where


def check_count(y: np.ndarray, count: int, where: Where) -> None:
    """Raises `DataError` for targets that are not those of so many samples."""
    if y.ndim == 0 or len(y) != count:
        raise DataError(
            f"x holds {count} samples but y has shape {list(y.shape)}",
            where=where,
            help="save a target for each sample, in their order",
        )


def checked_labels(y: np.ndarray, spec: SampleSpec, where: Where) -> np.ndarray:
    """Labels in the form that the model takes.

    Args:
        y: integers [N]; of a model with one output also [N, 1], and 0 and 1 as numbers or truth
            values.

    Returns:
        int32 [N], 0 to classes - 1.

    Raises:
        DataError: what is wrong with them.
    """
    if spec.output_size == 1:
        y = y.reshape(len(y)) if y[0].size == 1 else y
        y = y.astype(np.int32) if np.isin(y, (0, 1)).all() else y
    if y.ndim != 1:
        what = f"y has shape {list(y.shape)}, but labels have shape [{y.shape[0]}]"
        raise DataError(what, where=where, help=_one_label(y))
    if y.dtype.kind not in "iu":
        what = f"y has dtype {y.dtype}, but labels are integers"
        raise DataError(what, where=where, help=_numbered(y))
    _check_range(y, spec.classes, "classes", where, spec.for_more_classes)
    return y.astype(np.int32)


def _numbered(y: np.ndarray) -> str:
    """How to make integers of labels [N] of another type."""
    if y.dtype.kind in "bf" and np.array_equal(y, np.round(y)):
        return "save y.astype(np.int32)"
    if y.dtype.kind == "f":
        return f"save the number of each sample's class; {_REAL}"
    return "save np.unique(y, return_inverse=True)[1], the numbers of the names in their order"


_REAL = "for a model that learns real numbers compile with --loss mean_squared_error"


def _one_label(y: np.ndarray) -> str:
    """How to make labels of an array with more than one axis."""
    if y.size == len(y):
        return "save y.reshape(-1)"
    if y.ndim == 2:
        one_hot = "where y has a number for each class, save y.argmax(1), the number of the class"
        return one_hot if y.dtype.kind in "biu" else f"{one_hot}; {_REAL}"
    return "give the number of each sample's class"


def checked_pixels(y: np.ndarray, spec: SampleSpec, where: Where) -> np.ndarray:
    """Labels of pixels in the form that the model takes.

    Args:
        y: integers [N, H, W] or [N, H*W], H and W those of the model's output.

    Returns:
        uint8 [N, H*W], row by row.

    Raises:
        DataError: what is wrong with them.
    """
    sizes = list(spec.target_shape)
    if y.dtype.kind not in "iub":
        what = f"y has dtype {y.dtype}, but labels of pixels are integers"
        raise DataError(what, where=where, help="save y.astype(np.uint8)")
    while y.ndim > 1 + len(sizes) and 1 in (y.shape[1], y.shape[-1]):
        y = y[:, 0] if y.shape[1] == 1 else y[..., 0]
    if list(y.shape[1:]) not in (sizes, [spec.pixels]):
        raise DataError(
            f"y has shape {list(y.shape)}, but a sample has a label for each of its pixels: "
            f"{[len(y), *sizes]}",
            where=where,
            help="give the number of each pixel's class, not a map for each class",
        )
    flat = y.reshape(len(y), spec.pixels)
    wrong = (flat < 0) | (flat >= spec.pixel_classes)
    if wrong.any():
        sample, pixel = np.argwhere(wrong)[0]
        raise DataError(
            f"label {int(flat[sample, pixel])} of pixel {pixel} in sample {sample} is out of "
            f"range: the model has classes 0 to {spec.pixel_classes - 1}",
            where=where,
            help="give each pixel the number of its class",
        )
    return flat.astype(np.uint8)


def checked_shares(y: np.ndarray, spec: SampleSpec, where: Where) -> np.ndarray:
    """Targets in the form that the model takes.

    Args:
        y: numbers or truth values of N samples, each of the output's shape with or without its
            axes of one element; or the label that applies to each, integers [N].

    Returns:
        float32 [N, output_size]. A label that applies alone is 1, all others of its sample 0.

    Raises:
        DataError: what is wrong with them.
    """
    count, outputs = len(y), spec.output_size
    if y.dtype.kind not in "bfiu":
        raise DataError(f"y has dtype {y.dtype}, but targets are numbers from 0 to 1", where=where)
    if y.ndim == 1 and outputs > 1 and y.dtype.kind in "iu":
        return _one_each(y, outputs, where)
    own = spec.output_shape[1:] or (outputs,)
    if y.ndim > 2 and _extents(y.shape[1:]) == _extents(own):
        y = spec.flat_outputs(y.reshape(count, *own))
    if _extents(y.shape[1:]) != _extents((outputs,)):
        one = (
            "" if len(_extents(own)) > 1 else f", or the one label that applies, integers [{count}]"
        )
        raise DataError(
            f"y has shape {list(y.shape)}, but a sample has {outputs} labels, each from 0 to 1",
            where=where,
            help=f"give {[count, *own]}{one}",
        )
    with np.errstate(over="ignore"):
        targets = y.reshape(count, outputs).astype(np.float32)
    fits = (targets >= 0) & (targets <= 1)
    if not fits.all():
        sample, label = np.argwhere(~fits)[0]
        raise DataError(
            f"target {targets[sample, label]:g} of label {label} in sample {sample} is not from 0 "
            "to 1",
            where=where,
            help="give 1 where a label applies and 0 where it does not, or compile with --loss "
            "mean_squared_error to learn other numbers",
        )
    return targets


def _extents(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Without axes of one element."""
    return tuple(size for size in shape if size != 1)


def _check_range(y: np.ndarray, count: int, of: str, where: Where, help: str) -> None:
    """Raises `DataError` for a label [N] that is not one of `count`, called `of`; `help` where it
    is too large."""
    wrong = (y < 0) | (y >= count)
    if wrong.any():
        sample = int(np.argmax(wrong))
        raise DataError(
            f"label {int(y[sample])} of sample {sample} is out of range: "
            f"the model has {of} 0 to {count - 1}",
            where=where,
            help="labels count from 0" if y[sample] < 0 else help,
        )


def _one_each(y: np.ndarray, outputs: int, where: Where) -> np.ndarray:
    _check_range(y, outputs, "labels", where, f"the model tells {outputs} labels apart")
    targets = np.zeros((len(y), outputs), np.float32)
    targets[np.arange(len(y)), y.astype(np.int64)] = 1
    return targets
