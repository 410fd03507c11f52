"""Constants of an imported model, and what dtype a call has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinytrain.frontend.program import Call, Const, Shape


def dtype_of(op: str, args: Sequence[Call | Const], attrs: Mapping[str, Any]) -> str:
    """Of a result: integers stay integers until something says what they stand for."""
    if op == "quantize":
        return str(attrs["dtype"])
    source = next((arg for arg in args if isinstance(arg, Call)), None)
    return "float32" if op == "dequantize" or source is None else source.dtype


def along_axis(values: np.ndarray, axis: int, shape: Shape) -> np.ndarray:
    """A scalar, or one value for each index along `axis`, as a view of the whole shape."""
    values = np.asarray(values)
    if values.size == 1:
        return np.broadcast_to(values.reshape(()), shape)
    extents = [1] * len(shape)
    extents[axis] = values.size
    return np.broadcast_to(values.reshape(extents), shape)


def is_finite(const: Const) -> bool:
    """Whether a constant and its scales hold neither NaN nor infinity."""
    if const.data.dtype.kind == "f" and not np.isfinite(const.data).all():
        return False
    return const.scale is None or bool(np.isfinite(const.scale).all())
