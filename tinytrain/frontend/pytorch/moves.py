"""ATen operations that move elements."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tinytrain.frontend.builder import Tensor
from tinytrain.frontend.pieces import (
    check_padding,
    crop,
    cut,
    depth_to_space,
    expand,
    repeat,
    resize_nearest,
    space_to_depth,
    take,
    tile,
)  # fmt: skip
from tinytrain.frontend.pytorch.operands import AtenOperands, AtenRow, Found, Length, row


def _sized(x: Tensor, wanted: Sequence[int]) -> tuple[int, ...]:
    """A shape with the one open extent filled in."""
    known = math.prod(n for n in wanted if n != -1)
    return tuple(math.prod(x.shape) // max(known, 1) if n == -1 else int(n) for n in wanted)


def _view(name: str) -> AtenRow:
    def read(operands: AtenOperands) -> list[Tensor]:
        x = operands.x()
        return [operands.builder.reshape(x, _sized(x, operands.get(name, ())))]

    return row(read, f"self {name}")


def _flatten(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    rank = len(x.shape)
    first = operands.axis(rank, "start_dim", 0)
    last = operands.axis(rank, "end_dim", -1)
    joined = math.prod(x.shape[first : last + 1])
    return [operands.builder.reshape(x, (*x.shape[:first], joined, *x.shape[last + 1 :]))]


def _unflatten(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape))
    known = math.prod(n for n in operands.get("sizes") if n != -1)
    sizes = [x.shape[axis] // known if n == -1 else n for n in operands.get("sizes")]
    return [operands.builder.reshape(x, (*x.shape[:axis], *sizes, *x.shape[axis + 1 :]))]


def _squeeze(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    dims = operands.get("dim")
    rank = len(x.shape)
    chosen = range(rank) if dims is None else [dims] if isinstance(dims, int) else dims
    gone = {int(axis) % rank for axis in chosen if x.shape[int(axis) % rank] == 1}
    return [operands.builder.reshape(x, tuple(n for k, n in enumerate(x.shape) if k not in gone))]


def _unsqueeze(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape) + 1)
    return [operands.builder.reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))]


def _permute(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axes = tuple(int(axis) % len(x.shape) for axis in operands.get("dims"))
    return [operands.builder.emit("permute", [x], axes=axes)]


def _transpose(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axes = list(range(len(x.shape)))
    first, second = operands.axis(len(axes), "dim0"), operands.axis(len(axes), "dim1")
    axes[first], axes[second] = axes[second], axes[first]
    return [operands.builder.emit("permute", [x], axes=tuple(axes))]


def _t(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axes = tuple(reversed(range(len(x.shape))))
    return [operands.builder.emit("permute", [x], axes=axes)]


def _cat(operands: AtenOperands) -> list[Tensor]:
    tensors = list(operands.values["tensors"])
    axis = operands.axis(len(tensors[0].shape))
    return [operands.builder.emit("concat", tensors, axis=axis)]


def _stack(operands: AtenOperands) -> list[Tensor]:
    builder, tensors = operands.builder, list(operands.values["tensors"])
    shape = tensors[0].shape
    axis = operands.axis(len(shape) + 1)
    wide = (*shape[:axis], 1, *shape[axis:])
    return [builder.emit("concat", [builder.reshape(t, wide) for t in tensors], axis=axis)]


def _split(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape))
    size = operands.get("split_size")
    sizes = size if size is not None else operands.get("split_sizes")
    if isinstance(sizes, int):
        extent = x.shape[axis]
        sizes = [min(sizes, extent - start) for start in range(0, extent, sizes)]
    return cut(operands.builder, x, axis, sizes)


def _chunk(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape))
    extent = x.shape[axis]
    size = -(-extent // int(operands.get("chunks")))
    sizes = [min(size, extent - start) for start in range(0, extent, size)]
    return cut(operands.builder, x, axis, sizes)


def _unbind(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape))
    flat = (*x.shape[:axis], *x.shape[axis + 1 :])
    parts = cut(operands.builder, x, axis, [1] * x.shape[axis])
    return [operands.builder.reshape(part, flat) for part in parts]


def _slice(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape))
    part = slice(operands.get("start"), operands.get("end"), int(operands.get("step", 1)))
    start, stop, step = part.indices(x.shape[axis])
    return [take(operands.builder, x, axis, start, stop, step)]


def _select(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis = operands.axis(len(x.shape))
    index = int(operands.get("index", 0)) % x.shape[axis]
    part = take(operands.builder, x, axis, index, index + 1)
    return [operands.builder.reshape(part, (*x.shape[:axis], *x.shape[axis + 1 :]))]


def _narrow(operands: AtenOperands) -> list[Tensor]:
    x = operands.x()
    axis, start = operands.axis(len(x.shape)), int(operands.get("start", 0))
    return [take(operands.builder, x, axis, start, start + int(operands.get("length")))]


def _pad(operands: AtenOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    check_padding(builder, operands.get("mode", "constant"))
    pads = list(operands.get("pad", ()))
    rank = len(x.shape)
    widths = [(0, 0)] * rank
    for place in range(len(pads) // 2):
        widths[rank - 1 - place] = (pads[2 * place], pads[2 * place + 1])
    value = float(operands.get("value", 0.0))
    part, grown = crop(builder, x, widths)
    is_grown = any(map(any, grown))
    return [builder.emit("pad", [part], widths=grown, value=value) if is_grown else part]


def _expand(operands: AtenOperands) -> list[Found]:
    found = operands.values["self"]
    if isinstance(found, Length):
        return [found]
    x = operands.x()
    size = operands.get("size") or operands.x("other").shape
    rank = len(size)
    shape = tuple(
        x.shape[k - rank + len(x.shape)] if n == -1 else int(n) for k, n in enumerate(size)
    )
    return [expand(operands.builder, x, shape)]


def _repeat(operands: AtenOperands) -> list[Tensor]:
    x, counts = operands.x(), list(operands.get("repeats"))
    wide = operands.builder.reshape(x, (1,) * (len(counts) - len(x.shape)) + x.shape)
    return [tile(operands.builder, wide, counts)]


def _repeat_interleave(operands: AtenOperands) -> list[Tensor]:
    builder, x = operands.builder, operands.x()
    count = operands.get("repeats")
    if not isinstance(count, int) or not operands.has("dim"):
        raise builder.error(
            "a repetition of each element another number of times is not supported",
            "repeat every element equally often along one axis",
        )
    axis = operands.axis(len(x.shape))
    return [repeat(builder, x, tuple(count if k == axis else 1 for k in range(len(x.shape))))]


def _upsample(operands: AtenOperands) -> list[Tensor]:
    x = operands.x("self" if "self" in operands.values else "input")
    size = operands.get("output_size")
    if size is None:
        scales = operands.get("scale_factors")
        size = [math.floor(n * s) for n, s in zip(x.shape[2:], scales, strict=True)]
    return [resize_nearest(operands.builder, x, (*x.shape[:2], *map(int, size)))]


def _pixel_shuffle(operands: AtenOperands) -> list[Tensor]:
    size = int(operands.get("upscale_factor"))
    return [
        depth_to_space(
            operands.builder, operands.x(), size, channels_last=False, columns_first=False
        )
    ]


def _pixel_unshuffle(operands: AtenOperands) -> list[Tensor]:
    size = int(operands.get("downscale_factor"))
    return [
        space_to_depth(
            operands.builder, operands.x(), size, channels_last=False, columns_first=False
        )
    ]


def _channel_shuffle(operands: AtenOperands) -> list[Tensor]:
    builder, x, groups = operands.builder, operands.x(), int(operands.get("groups"))
    batch, channels, *rest = x.shape
    cut_ = builder.reshape(x, (batch, groups, channels // groups, *rest))
    axes = (0, 2, 1, *range(3, len(rest) + 3))
    return [builder.reshape(builder.emit("permute", [cut_], axes=axes), x.shape)]


MOVES: dict[str, AtenRow] = {
    "view": _view("size"),
    "_unsafe_view": _view("size"),
    "reshape": _view("shape"),
    "flatten": row(_flatten, "self start_dim end_dim"),
    "unflatten": row(_unflatten, "self dim sizes"),
    "squeeze": row(_squeeze, "self dim"),
    "unsqueeze": row(_unsqueeze, "self dim"),
    "permute": row(_permute, "self dims"),
    "transpose": row(_transpose, "self dim0 dim1"),
    "t": row(_t),
    "cat": row(_cat, "tensors dim"),
    "stack": row(_stack, "tensors dim"),
    "split": row(_split, "self split_size split_sizes dim"),
    "split_with_sizes": row(_split, "self split_sizes dim"),
    "chunk": row(_chunk, "self chunks dim"),
    "unbind": row(_unbind, "self dim"),
    "slice": row(_slice, "self dim start end step"),
    "select": row(_select, "self dim index"),
    "narrow": row(_narrow, "self dim start length"),
    "pad": row(_pad, "self pad mode value"),
    "constant_pad_nd": row(_pad, "self pad value"),
    "expand": row(_expand, "self size", "implicit"),
    "expand_as": row(_expand, "self other"),
    "repeat": row(_repeat, "self repeats"),
    "repeat_interleave": row(_repeat_interleave, "self repeats dim", "output_size"),
    # Scales beside a size say the same once more.
    "upsample_nearest1d": row(_upsample, "self input output_size scale_factors", "scales"),
    "upsample_nearest2d": row(
        _upsample, "self input output_size scale_factors", "scales_h scales_w"
    ),
    "pixel_shuffle": row(_pixel_shuffle, "self upscale_factor"),
    "pixel_unshuffle": row(_pixel_unshuffle, "self downscale_factor"),
    "channel_shuffle": row(_channel_shuffle, "self groups"),
    "native_channel_shuffle": row(_channel_shuffle, "self groups"),
}
