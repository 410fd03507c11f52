"""Calibration samples: inputs, and labels where the source happens to have ones that fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tinytrain.data.arrays import as_array
from tinytrain.data.dataset import Dataset
from tinytrain.data.given import as_pair, given_array, given_inputs, holds_inputs, is_array, items
from tinytrain.data.inputs import checked_samples
from tinytrain.data.labels import check_count, checked_labels
from tinytrain.data.npz import read_arrays
from tinytrain.data.several import input_keys, with_x
from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, Where

_WHERE = Where("the calibration samples")

Gathered = str | Path | Mapping[str, np.ndarray]
"""A file, or arrays `x` and perhaps `y`."""


class CalibrationTaken(NamedTuple):
    """What a source of calibration samples gives.

    Attributes:
        samples: float32 [N,H,W,C] in the model's units.
        labels: int32 [N]; None where there are none that fit.
        unused: why the source's y is not used as labels, and what helps, as a sentence; None where
            it is used, or there is none.
    """

    samples: np.ndarray
    labels: np.ndarray | None
    unused: str | None


def gather(source: Any, spec: SampleSpec, limit: int) -> Gathered:
    """Calibration samples as `load_calibration` takes them.

    Args:
        source: path of an .npz; an array or a tensor like its `x`; a pair (x, y); a DataLoader or
            another iterable of x or (x, y), samples or batches, whose first samples are taken.
        limit: how many of them.

    Raises:
        DataError: the samples do not fit, or there are none.
        UsageError: the source gives no samples.
    """
    if isinstance(source, str | Path):
        return source
    if is_array(source) or holds_inputs(source, spec):
        return {"x": given_array(source, spec, _WHERE)}
    source = as_pair(source, spec)
    if isinstance(source, Mapping) or (isinstance(source, tuple) and len(source) == 2):
        item = _item(source)
        arrays = {"x": given_array(item["x"], spec, _WHERE)}
        if "y" in item:
            arrays["y"] = as_array(item["y"], _WHERE)
        if "y" in arrays and arrays["y"].size == len(arrays["x"]):
            arrays["y"] = arrays["y"].reshape(-1)
        return arrays
    xs: list[np.ndarray] = []
    ys: list[np.ndarray] = []
    count = 0
    for found in items(source):
        item = {"x": found} if holds_inputs(found, spec) else _item(as_pair(found, spec))
        raw = given_array(item["x"], spec, _WHERE)
        data, is_single = given_inputs(raw, spec)
        if data.x.dtype == np.uint8:
            assert spec.preprocess is not None, "images were taken"
            raw = spec.preprocess.resized(np.ascontiguousarray(data.x))
        else:
            raw = raw[None] if is_single else raw
        xs.append(raw)
        ys.append(_targets(as_array(item.get("y", ()), _WHERE), len(raw)))
        count += len(raw)
        if count >= limit:
            break
    if not xs:
        raise DataError("there are no calibration samples", where=_WHERE)
    x, pairs = np.concatenate(xs)[:limit], list(zip(ys, xs, strict=True))
    if any(len(y) != len(part) or y.shape[1:] != ys[0].shape[1:] for y, part in pairs):
        return {"x": x}
    return {"x": x, "y": np.concatenate(ys)[:limit]}


def _targets(y: np.ndarray, count: int) -> np.ndarray:
    """[count, ...] of what came beside so many samples; of another length what is no target."""
    if y.size in (0, count):
        return y.reshape(-1)
    return y[None] if count == 1 and y.shape[:1] != (1,) else y


def _item(found: Any) -> Mapping[str, Any]:
    """x, and y where there is one, of what an iterable gave."""
    if isinstance(found, Mapping):
        if "x" not in found:
            raise DataError(
                f"the calibration samples have no 'x' among {', '.join(map(str, found))}",
                help="name the inputs x",
            )
        return {name: found[name] for name in ("x", "y") if name in found}
    # A vector as a list of numbers is a sample, not a pair; several inputs are a tuple in the pair.
    if isinstance(found, tuple | list) and found and not _is_number(found[0]):
        return dict(zip("xy", found, strict=False))
    return {"x": found}


def _is_number(value: Any) -> bool:
    return not isinstance(value, tuple | list | Mapping) and np.ndim(value) == 0


def load_calibration(source: Gathered, spec: SampleSpec, limit: int) -> CalibrationTaken:
    """At most `limit` samples, evenly spread over the source.

    Args:
        source: from `gather`.
        spec: what the model takes; `output_size` says which labels make sense.

    Raises:
        DataError: the samples cannot be read or do not fit.
    """
    if isinstance(source, str | Path):
        where = Where(str(source))
        arrays: Mapping[str, np.ndarray] = read_arrays(source, where, (*input_keys(spec), "y"))
    else:
        where, arrays = _WHERE, source
    arrays = with_x(arrays, spec, where)
    if "x" not in arrays:
        raise DataError(
            "the calibration file has no array 'x'", where=where, help="save it with x=inputs"
        )
    data = Dataset(spec, checked_samples(arrays["x"], spec, where), None)
    chosen = np.linspace(0, len(data) - 1, min(len(data), limit)).astype(int)
    samples = data.samples(chosen)
    if "y" not in arrays:
        return CalibrationTaken(samples, None, None)
    try:
        check_count(arrays["y"], len(data), where)
        classes = max(2, spec.output_size)
        labels = checked_labels(arrays["y"], replace(spec, classes=classes, target=None), where)
    except DataError as error:
        return CalibrationTaken(samples, None, f"{error.what}; {error.help}")
    return CalibrationTaken(samples, labels[chosen], None)
