"""Reductions over the axes of a map become pooling windows."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.lower.rewrite import Rewriter
from tinytrain.frontend.program import Call, Const


def reduce(rewriter: Rewriter, call: Call) -> Call:
    """Mean, sum or maximum over some axes of a map, as a window as large as they are.

    Raises:
        ModelError: another reduction, the batch, or all axes of a map.
    """
    kind = {"mean": "avg", "sum": "avg", "max": "max"}.get(call.attrs["kind"])
    source = call.source()
    rank, axes = len(source.shape), call.attrs["axes"]
    # Of integers the mean would need a scale of its own, which the file does not have.
    if kind is None or (call.attrs["kind"] == "sum" and source.op == "dequantize"):
        raise rewriter.error(
            call,
            f"a {call.attrs['kind']} over the axes {list(axes)} of a map is not supported",
            "a mean, a sum or a maximum over height and width can be computed",
        )
    wide = tuple(axis for axis in axes if source.shape[axis] != 1)
    if not wide:
        return rewriter.like(call, "reshape", [source], shape=call.shape)
    if rank not in (3, 4) or 0 in wide or len(wide) > rank - 2:
        raise rewriter.error(
            call,
            f"a {call.attrs['kind']} over the axes {list(axes)} of {list(source.shape)} is not "
            "supported",
            "reduce over height and width of a map, or over the length of a signal",
        )
    able = [axis for axis in range(1, rank) if axis not in wide]
    usual = rank - 1 if rewriter.program.channels_last else 1
    channel_axis = usual if usual in able else able[0]
    pool = whole_map(rewriter, call, kind, wide, channel_axis)
    if call.attrs["kind"] == "sum":
        count = float(math.prod(source.shape[axis] for axis in wide))
        pool = _times(rewriter, pool, count)
    if pool.shape == call.shape:
        return pool
    return rewriter.like(call, "reshape", [pool], shape=call.shape)


def _times(rewriter: Rewriter, pool: Call, count: float) -> Call:
    pool.tensor = None  # it is the mean, not what the file computes there
    return rewriter.like(pool, "multiply", [pool, Const(np.full((), count))])


def whole_map(
    rewriter: Rewriter, call: Call, kind: str, axes: tuple[int, ...], channel_axis: int
) -> Call:
    """A window over some axes of a map, which keep extent 1."""
    source = call.source()
    spatial = [axis for axis in range(1, len(source.shape)) if axis != channel_axis]
    window = tuple(source.shape[axis] if axis in axes else 1 for axis in spatial)
    window = window if len(window) == 2 else (1, *window)
    shape = tuple(1 if axis in axes else n for axis, n in enumerate(source.shape))
    attrs = {
        "kind": kind, "window": window, "strides": window, "padding": (0, 0, 0, 0),
        "count_include_pad": False, "channel_axis": channel_axis,
    }  # fmt: skip
    return rewriter.emit(Call("pool", [source], attrs, shape, "float32", call.name, call.tensor))
