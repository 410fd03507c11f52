"""ONNX operations that move elements, and what says where."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.onnx.operands import OnnxOperands, OnnxRow, axis_of, row
from tinytrain.frontend.pieces import (
    check_padding,
    crop,
    cut,
    depth_to_space,
    expand,
    gather,
    resize_nearest,
    space_to_depth,
    tile,
)  # fmt: skip
from tinytrain.frontend.program import Const, Shape


def _reshape(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    wanted = operands.numbers(1, "shape") or []
    if not operands.get("allowzero", 0):
        wanted = [x.shape[k] if n == 0 and k < len(x.shape) else n for k, n in enumerate(wanted)]
    known = math.prod(n for n in wanted if n != -1)
    total = math.prod(x.shape)
    shape = tuple(total // max(known, 1) if n == -1 else n for n in wanted)
    return [operands.builder.reshape(x, shape)]


def _flatten(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    axis = int(operands.get("axis", 1))
    axis += len(x.shape) if axis < 0 else 0
    shape = (math.prod(x.shape[:axis]), math.prod(x.shape[axis:]))
    return [operands.builder.reshape(x, shape)]


def _squeeze(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    axes = operands.numbers(1, "axes")
    if axes is None:
        axes = [axis for axis, extent in enumerate(x.shape) if extent == 1]
    gone = {axis % len(x.shape) for axis in axes}
    shape = tuple(n for axis, n in enumerate(x.shape) if axis not in gone)
    return [operands.builder.reshape(x, shape)]


def _unsqueeze(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    axes = operands.numbers(1, "axes") or []
    rank = len(x.shape) + len(axes)
    new = {axis % rank for axis in axes}
    extents = iter(x.shape)
    return [
        operands.builder.reshape(x, tuple(1 if k in new else next(extents) for k in range(rank)))
    ]


def _transpose(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    axes = operands.get("perm") or range(len(x.shape) - 1, -1, -1)
    return [operands.builder.emit("permute", [x], axes=tuple(int(axis) for axis in axes))]


def _concat(operands: OnnxOperands) -> list[Tensor]:
    tensors = [operands.x(number) for number in range(len(operands.inputs))]
    axis = axis_of(operands, len(tensors[0].shape))
    return [operands.builder.emit("concat", tensors, axis=axis)]


def _split(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    axis = axis_of(operands, len(x.shape))
    sizes = operands.numbers(1, "split")
    if sizes is None:
        count = int(operands.get("num_outputs", operands.outputs))
        chunk = -(-x.shape[axis] // count)
        sizes = [min(chunk, x.shape[axis] - chunk * k) for k in range(count)]
    return cut(operands.builder, x, axis, sizes)


def _slice(operands: OnnxOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    begins, ends = operands.numbers(1, "starts") or [], operands.numbers(2, "ends") or []
    axes = operands.numbers(3, "axes") or list(range(len(begins)))
    steps = operands.numbers(4) or [1] * len(begins)
    if any(step < 1 for step in steps):
        raise builder.error("a slice that goes backward is not supported", "flip the data instead")
    parts = [(0, extent, 1) for extent in x.shape]
    for axis, begin, end, step in zip(axes, begins, ends, steps, strict=True):
        extent = x.shape[axis]
        start, stop, _ = slice(begin, end).indices(extent)
        parts[axis] = (start, stop, step)
    starts, stops, strides = (tuple(column) for column in zip(*parts, strict=True))
    return [builder.emit("slice", [x], starts=starts, stops=stops, steps=strides)]


def _gather(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    index = operands.constant(1).astype(np.int64)
    return [gather(operands.builder, x, axis_of(operands, len(x.shape)), index)]


def _pad(operands: OnnxOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    check_padding(builder, operands.get("mode", "constant"))
    pads = operands.numbers(1, "pads") or []
    rank = len(x.shape)
    axes = [axis % rank for axis in operands.numbers(3) or range(rank)]
    value = float(operands.constant(2).reshape(-1)[0]) if operands.has(2) else 0.0
    value = float(operands.get("value", value))
    widths = [(0, 0)] * rank
    for place, axis in enumerate(axes):
        widths[axis] = (pads[place], pads[place + len(axes)])
    part, grown = crop(builder, x, widths)
    return [builder.emit("pad", [part], widths=grown, value=value)]


def _expand(operands: OnnxOperands) -> list[Tensor]:
    x = operands.x()
    wanted = operands.numbers(1) or []
    shape = tuple(int(n) for n in np.broadcast_shapes(x.shape, tuple(wanted)))
    return [expand(operands.builder, x, shape)]


def _tile(operands: OnnxOperands) -> list[Tensor]:
    return [tile(operands.builder, operands.x(), operands.numbers(1) or [])]


def _resize(operands: OnnxOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    mode = operands.get("mode", "nearest")
    if mode != "nearest":
        raise builder.error(
            f"a resize of the kind '{mode}' is not supported",
            "resize by whole factors with nearest neighbours",
        )
    shape = _resized(operands, x)
    for extent, wanted in zip(x.shape, shape, strict=True):
        if not _repeats(operands, extent, wanted):
            raise builder.error(
                f"a resize from {list(x.shape)} to {list(shape)} with the rules of rounding that "
                "the node has is no repetition of elements",
                "resize by whole factors, with asymmetric coordinates and floor",
            )
    return [resize_nearest(builder, x, shape)]


def _repeats(operands: OnnxOperands, extent: int, wanted: int) -> bool:
    """Whether output k of an axis is input k // factor, by the node's own rules."""
    if wanted == extent or wanted % extent:
        return wanted == extent
    factor = wanted // extent
    k = np.arange(wanted)
    coordinates = operands.get("coordinate_transformation_mode", "half_pixel")
    if operands.kind == "Upsample" or coordinates == "asymmetric":
        at = k / factor
    elif coordinates in ("half_pixel", "pytorch_half_pixel"):
        at = (k + 0.5) / factor - 0.5
    else:
        return False
    default = "floor" if operands.kind == "Upsample" else "round_prefer_floor"
    rounded = {
        "floor": np.floor(at),
        "ceil": np.ceil(at),
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
    }[operands.get("nearest_mode", default)]
    return bool((np.clip(rounded, 0, extent - 1) == k // factor).all())


def _resized(operands: OnnxOperands, x: Tensor) -> Shape:
    axes = [int(axis) for axis in operands.get("axes", range(len(x.shape)))]
    wanted = list(x.shape)
    if operands.has(3):
        for axis, extent in zip(axes, operands.numbers(3) or (), strict=True):
            wanted[axis] = extent
        return tuple(wanted)
    scales_at = 2 if operands.has(2) else 1
    if operands.has(scales_at):
        factors = operands.constant(scales_at).reshape(-1)
    else:
        factors = np.asarray(operands.get("scales", [1.0] * len(x.shape)))
    for axis, factor in zip(axes, factors, strict=True):
        wanted[axis] = math.floor(x.shape[axis] * float(factor))
    return tuple(wanted)


def _depth_to_space(operands: OnnxOperands) -> list[Tensor]:
    return [
        depth_to_space(
            operands.builder, operands.x(), int(operands.get("blocksize")), channels_last=False,
            columns_first=operands.get("mode", "DCR") == "DCR",
        )
    ]  # fmt: skip


def _space_to_depth(operands: OnnxOperands) -> list[Tensor]:
    return [
        space_to_depth(
            operands.builder, operands.x(), int(operands.get("blocksize")), channels_last=False,
            columns_first=operands.get("mode", "DCR") == "DCR",
        )
    ]  # fmt: skip


def _shape(operands: OnnxOperands) -> list[Tensor]:
    shape = operands.x().shape
    part = shape[int(operands.get("start", 0)) : operands.get("end")]
    return [Const(np.asarray(part, dtype=np.int64))]


def _size(operands: OnnxOperands) -> list[Tensor]:
    return [Const(np.asarray(math.prod(operands.x().shape), dtype=np.int64))]


MOVES: dict[str, OnnxRow] = {
    "Reshape": row(_reshape, "allowzero shape"),
    "Flatten": row(_flatten, "axis"),
    "Squeeze": row(_squeeze, "axes"),
    "Unsqueeze": row(_unsqueeze, "axes"),
    "Transpose": row(_transpose, "perm"),
    "Concat": row(_concat, "axis"),
    "Split": row(_split, "axis split num_outputs"),
    "Slice": row(_slice, "starts ends axes"),
    "Gather": row(_gather, "axis"),
    "Pad": row(_pad, "mode pads value"),
    "Expand": row(_expand),
    "Tile": row(_tile),
    # What remains concerns other kinds of resizing than nearest neighbours.
    "Resize": row(
        _resize,
        "axes mode coordinate_transformation_mode nearest_mode",
        "cubic_coeff_a exclude_outside extrapolation_value antialias",
    ),
    "Upsample": row(_resize, "mode scales"),
    "DepthToSpace": row(_depth_to_space, "blocksize mode"),
    "SpaceToDepth": row(_space_to_depth, "blocksize mode"),
    "Shape": row(_shape, "start end"),
    "Size": row(_size),
}
