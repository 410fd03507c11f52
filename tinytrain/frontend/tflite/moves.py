"""TFLite operators that move elements, and the arithmetic of shapes that converters write."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.program import Const
from tinytrain.frontend.tflite.batched import Batched
from tinytrain.frontend.tflite.operands import TfliteOperands, TfliteRow, activated, row


def _reshape(operands: TfliteOperands) -> list[Tensor | Batched]:
    x, shape = operands.held(), operands.result_shape()
    if isinstance(x, Batched):
        return [_reshaped_batches(operands, x)]
    if isinstance(x, Const) and not operands.file_tensor().is_quantized:
        return [operands.builder.reshape(x, shape)]
    if int(np.prod(shape)) != int(np.prod(x.shape)):
        # A batch that was left open: what the numbers say, with the rest in the open extent.
        shape = _open_shape(operands, x)
    return [operands.builder.reshape(x, shape)]


def _open_shape(operands: TfliteOperands, x: Tensor) -> tuple[int, ...]:
    wanted = operands.numbers(1) if operands.has(1) else list(operands.option("NewShape"))
    known = int(np.prod([extent for extent in wanted if extent > 0]))
    left = int(np.prod(x.shape)) // max(known, 1)
    return tuple(extent if extent > 0 else left for extent in wanted)


def _reshaped_batches(operands: TfliteOperands, x: Batched) -> Batched:
    """A Conv1D puts a height of 1 before its length while it is in batches, and takes it out."""
    builder, whole = operands.builder, x.whole
    rank = len(operands.result_shape())
    if (len(whole.shape), rank) == (3, 4):
        batch, length, channels = whole.shape
        if operands.result_shape()[1] == 1:
            shape, blocks = (batch, 1, length, channels), (1, 1, x.blocks[1], 1)
        else:
            shape, blocks = (batch, length, 1, channels), (1, x.blocks[1], 1, 1)
        return Batched(builder.reshape(whole, shape), blocks)
    if (len(whole.shape), rank) == (4, 3) and 1 in whole.shape[1:3]:
        batch, height, width, channels = whole.shape
        shape3 = (batch, height * width, channels)
        return Batched(builder.reshape(whole, shape3), (1, max(x.blocks), 1))
    raise builder.error(
        "a reshape between SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND is not supported",
        "convert the model with dilated convolutions alone between them",
    )


def _transpose(operands: TfliteOperands) -> list[Tensor]:
    x = operands.x()
    axes = tuple(axis % len(x.shape) for axis in operands.numbers(1))
    return [operands.builder.emit("permute", [x], axes=axes)]


def _concatenation(operands: TfliteOperands) -> list[Tensor]:
    tensors = [operands.x(number) for number in range(len(operands.operator.inputs))]
    axis = operands.option("Axis") % len(tensors[0].shape)
    return [activated(operands, operands.builder.emit("concat", tensors, axis=axis))]


def _pack(operands: TfliteOperands) -> list[Tensor]:
    builder = operands.builder
    tensors = [operands.x(number) for number in range(len(operands.operator.inputs))]
    shape = tensors[0].shape
    axis = operands.option("Axis") % (len(shape) + 1)
    wide = (*shape[:axis], 1, *shape[axis:])
    return [builder.emit("concat", [builder.reshape(t, wide) for t in tensors], axis=axis)]


def _unpack(operands: TfliteOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    axis = operands.option("Axis") % len(x.shape)
    flat = (*x.shape[:axis], *x.shape[axis + 1 :])
    parts = _cut(operands, x, axis, [1] * x.shape[axis])
    return [builder.reshape(part, flat) for part in parts]


def _cut(operands: TfliteOperands, x: Tensor, axis: int, sizes: list[int]) -> list[Tensor]:
    """Pieces along an axis."""
    parts, start = [], 0
    rank = len(x.shape)
    for size in sizes:
        starts = tuple(start if k == axis else 0 for k in range(rank))
        stops = tuple(start + size if k == axis else n for k, n in enumerate(x.shape))
        parts.append(
            operands.builder.emit("slice", [x], starts=starts, stops=stops, steps=(1,) * rank)
        )
        start += size
    return parts


def _split(operands: TfliteOperands) -> list[Tensor]:
    x = operands.x(1)
    (axis,) = operands.numbers(0)
    count = operands.option("NumSplits")
    axis %= len(x.shape)
    return _cut(operands, x, axis, [x.shape[axis] // count] * count)


def _split_v(operands: TfliteOperands) -> list[Tensor]:
    x, sizes = operands.x(), operands.numbers(1)
    (axis,) = operands.numbers(2)
    axis %= len(x.shape)
    known = sum(size for size in sizes if size >= 0)
    return _cut(operands, x, axis, [size if size >= 0 else x.shape[axis] - known for size in sizes])


def _slice(operands: TfliteOperands) -> list[Tensor]:
    x, starts, sizes = operands.x(), operands.numbers(1), operands.numbers(2)
    stops = tuple(
        extent if size < 0 else start + size
        for extent, start, size in zip(x.shape, starts, sizes, strict=True)
    )
    steps = (1,) * len(starts)
    return [operands.builder.emit("slice", [x], starts=tuple(starts), stops=stops, steps=steps)]


def _strided_slice(operands: TfliteOperands) -> list[Tensor]:
    """Slices by masks, as TensorFlow defines them; bit k of a mask is for axis k."""
    builder, x = operands.builder, operands.x()
    begins, ends, steps = (operands.numbers(number) for number in (1, 2, 3))
    if any(step < 1 for step in steps):
        raise builder.error("a slice that goes backward is not supported", "flip the data instead")
    starts: list[int] = []
    stops: list[int] = []
    strides: list[int] = []
    for axis, extent in enumerate(x.shape):
        if axis >= len(begins):
            starts, stops, strides = [*starts, 0], [*stops, extent], [*strides, 1]
            continue
        bit = 1 << axis
        begin = 0 if operands.option("BeginMask") & bit else begins[axis]
        begin += extent if begin < 0 else 0
        if operands.option("ShrinkAxisMask") & bit:
            end = begin + 1
        elif operands.option("EndMask") & bit:
            end = extent
        else:
            end = ends[axis] + (begin if operands.option("Offset") else 0)
            end += extent if end < 0 else 0
        starts.append(begin)
        stops.append(min(end, extent))
        strides.append(steps[axis])
    result = builder.emit(
        "slice", [x], starts=tuple(starts), stops=tuple(stops), steps=tuple(strides)
    )
    shrunk = operands.option("ShrinkAxisMask")
    shape = tuple(n for axis, n in enumerate(result.shape) if not shrunk >> axis & 1)
    return [builder.reshape(result, shape)]


def _gather(operands: TfliteOperands) -> list[Tensor]:
    """A gather of one index, or of a run of them: a slice."""
    builder, x = operands.builder, operands.x()
    axis = operands.option("Axis") % len(x.shape)
    indices = operands.numbers(1)
    if isinstance(x, Const) and x.scale is None:
        index = np.asarray(indices).reshape(operands.file_tensor(1).shape)
        return [Const(np.take(x.data, index, axis))]
    steps = {b - a for a, b in pairwise(indices)} or {1}
    if len(steps) > 1 or min(steps) < 1:
        raise builder.error(
            "a gather of scattered indices is not supported",
            "gather a run of indices at equal distances, which is a slice",
        )
    starts = tuple(indices[0] if k == axis else 0 for k in range(len(x.shape)))
    stops = tuple(indices[-1] + 1 if k == axis else n for k, n in enumerate(x.shape))
    strides = tuple(min(steps) if k == axis else 1 for k in range(len(x.shape)))
    result = builder.emit("slice", [x], starts=starts, stops=stops, steps=strides)
    return [builder.reshape(result, operands.result_shape())]


def _pad(operands: TfliteOperands) -> list[Tensor]:
    x, widths = operands.x(), operands.numbers(1)
    value = 0.0
    if operands.has(2):
        given = operands.x(2)
        if not isinstance(given, Const):
            raise operands.builder.error("padding with a computed value", "pad with zeros")
        value = float(given.real().reshape(-1)[0])
    pairs = tuple((widths[2 * k], widths[2 * k + 1]) for k in range(len(x.shape)))
    return [operands.builder.emit("pad", [x], widths=pairs, value=value)]


def _shape(operands: TfliteOperands) -> list[Tensor]:
    return [Const(np.asarray(operands.x().shape, dtype=np.int32))]


def _fill(operands: TfliteOperands) -> list[Tensor]:
    value = operands.x(1)
    assert isinstance(value, Const)
    return [Const(np.full(operands.numbers(0), value.data.reshape(())))]


def _zeros_like(operands: TfliteOperands) -> list[Tensor]:
    return [Const(np.zeros(operands.x().shape, dtype=np.float32))]


def _broadcast_to(operands: TfliteOperands) -> list[Tensor]:
    x, shape = operands.x(), tuple(operands.numbers(1))
    if isinstance(x, Const):
        return [Const(np.broadcast_to(x.real(), shape))]
    return [_tiled(operands, x, tuple(n // m for n, m in zip(shape, x.shape, strict=True)))]


def _tile(operands: TfliteOperands) -> list[Tensor]:
    return [_tiled(operands, operands.x(), tuple(operands.numbers(1)))]


def _tiled(operands: TfliteOperands, x: Tensor, counts: tuple[int, ...]) -> Tensor:
    """Copies side by side: along an axis of extent 1 a repetition, else a concatenation."""
    builder = operands.builder
    for axis, count in enumerate(counts):
        if count == 1:
            continue
        if x.shape[axis] == 1:
            factors = tuple(count if k == axis else 1 for k in range(len(x.shape)))
            x = builder.emit("repeat", [x], factors=factors)
        else:
            x = builder.emit("concat", [x] * count, axis=axis)
    return x


def _resize_nearest(operands: TfliteOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    height, width = operands.numbers(1)
    factors = (1, height // x.shape[1], width // x.shape[2], 1)
    whole = (height, width) == (x.shape[1] * factors[1], x.shape[2] * factors[2])
    if not whole or operands.option("AlignCorners"):
        raise builder.error(
            f"a resize from {x.shape[1]}x{x.shape[2]} to {height}x{width} is not supported",
            "resize by whole factors, without align_corners",
        )
    # Half-pixel centres choose the same element where factors are whole.
    return [builder.emit("repeat", [x], factors=factors)]


def _depth_to_space(operands: TfliteOperands) -> list[Tensor]:
    builder, x, size = operands.builder, operands.x(), operands.option("BlockSize")
    batch, height, width, channels = x.shape
    left = channels // (size * size)
    cut = builder.reshape(x, (batch, height, width, size, size, left))
    moved = builder.emit("permute", [cut], axes=(0, 1, 3, 2, 4, 5))
    return [builder.reshape(moved, (batch, height * size, width * size, left))]


def _space_to_depth(operands: TfliteOperands) -> list[Tensor]:
    builder, x, size = operands.builder, operands.x(), operands.option("BlockSize")
    batch, height, width, channels = x.shape
    cut = builder.reshape(x, (batch, height // size, size, width // size, size, channels))
    moved = builder.emit("permute", [cut], axes=(0, 1, 3, 2, 4, 5))
    shape = (batch, height // size, width // size, size * size * channels)
    return [builder.reshape(moved, shape)]


MOVES: dict[str, TfliteRow] = {
    "RESHAPE": row(_reshape, "NewShape"),
    "SQUEEZE": row(_reshape, "SqueezeDims"),
    "EXPAND_DIMS": row(_reshape),
    "TRANSPOSE": row(_transpose),
    "CONCATENATION": row(_concatenation, "Axis FusedActivationFunction"),
    "PACK": row(_pack, "Axis", "ValuesCount"),
    "UNPACK": row(_unpack, "Axis", "Num"),
    "SPLIT": row(_split, "NumSplits"),
    "SPLIT_V": row(_split_v, "NumSplits"),
    "SLICE": row(_slice),
    "STRIDED_SLICE": row(_strided_slice, "BeginMask EndMask ShrinkAxisMask Offset"),
    "GATHER": row(_gather, "Axis"),
    "PAD": row(_pad),
    "PADV2": row(_pad),
    "SHAPE": row(_shape, "", "OutType"),
    "FILL": row(_fill),
    "ZEROS_LIKE": row(_zeros_like),
    "BROADCAST_TO": row(_broadcast_to),
    "TILE": row(_tile),
    # By whole factors the centres of pixels lie in the same pixel either way.
    "RESIZE_NEAREST_NEIGHBOR": row(_resize_nearest, "AlignCorners", "HalfPixelCenters"),
    "DEPTH_TO_SPACE": row(_depth_to_space, "BlockSize"),
    "SPACE_TO_DEPTH": row(_space_to_depth, "BlockSize"),
}
