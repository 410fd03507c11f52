"""Operations that change no element, only where it is; docs/arithmetic.md section 2."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinytrain.ir.graph import Node


def gather_channels(x: np.ndarray, channels: npt.ArrayLike) -> np.ndarray:
    """The listed indices of the last axis."""
    return np.ascontiguousarray(x[..., np.asarray(channels, dtype=np.int64)])


def transpose(x: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Axes permuted: output axis k is input axis axes[k]."""
    return np.ascontiguousarray(np.transpose(x, axes))


def places(node: Node, count: int) -> range:
    """The indices that a `slice` takes, or that an `pad` fills."""
    start, step = node.attrs["start"], node.attrs.get("step", 1)
    return range(start, start + count * step, step)


def cut(x: np.ndarray, axis: int, indices: range) -> np.ndarray:
    """Some indices along an axis."""
    return np.ascontiguousarray(np.take(x, indices, axis=axis))


def pad(x: np.ndarray, node: Node) -> np.ndarray:
    """x among elements that are `fill`; the first axis may hold several samples."""
    axis = node.attrs["axis"]
    shape = (*x.shape[:axis], node.attrs["extent"], *x.shape[axis + 1 :])
    whole = np.full(shape, node.attrs["fill"], dtype=x.dtype)
    indices = places(node, x.shape[axis])
    whole[(slice(None),) * axis + (slice(indices.start, indices.stop, indices.step),)] = x
    return whole
