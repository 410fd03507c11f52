"""Calibration samples: inputs, and labels where a file happens to have ones that fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tinytrain.data.dataset import Dataset, _checked_samples
from tinytrain.data.npz import read_arrays
from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, Where


def load_calibration(
    source: str | Path | np.ndarray, spec: SampleSpec, limit: int
) -> tuple[np.ndarray, np.ndarray | None]:
    """At most `limit` samples, evenly spread over the source.

    Args:
        source: an .npz with `x` (and perhaps `y`), or an array like `x`.
        spec: what the model takes; `output_size` says which labels make sense.

    Returns:
        float32 [N,H,W,C] in the model's units, and integer labels [N] or None.

    Raises:
        DataError: the samples cannot be read or do not fit.
    """
    labels = None
    if isinstance(source, np.ndarray):
        where = Where("the array of calibration samples")
        arrays = {"x": source}
    else:
        where = Where(str(source))
        arrays = read_arrays(source, where, ("x", "y"))
    if "x" not in arrays:
        raise DataError(
            "the calibration file has no array 'x'", where=where, help="save it with x=inputs"
        )
    data = Dataset(spec, _checked_samples(arrays["x"], spec, where), None)
    chosen = np.linspace(0, len(data) - 1, min(len(data), limit)).astype(int)
    y = arrays.get("y")
    is_label = y is not None and y.ndim == 1 and y.dtype.kind in "iu" and len(y) == len(data)
    if y is not None and is_label and y.min() >= 0 and y.max() < spec.output_size:
        labels = y[chosen].astype(np.int32)
    return data.samples(chosen), labels
