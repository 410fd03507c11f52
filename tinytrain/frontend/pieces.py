"""Spellings that several formats share: cutting, tiling, resizing, depth to space."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import numpy as np

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.program import Call, Const, Shape
from tinytrain.frontend.refusals import PADDING_HELP, help_for
from tinytrain.ir.unary import UNARY


def take(
    builder: ProgramBuilder, x: Tensor, axis: int, start: int, stop: int, step: int = 1
) -> Tensor:
    """x from start to stop along one axis; x itself where that is all of it."""
    if (start, stop, step) == (0, x.shape[axis], 1):
        return x
    rank = len(x.shape)
    return builder.emit(
        "slice", [x],
        starts=tuple(start if k == axis else 0 for k in range(rank)),
        stops=tuple(stop if k == axis else n for k, n in enumerate(x.shape)),
        steps=tuple(step if k == axis else 1 for k in range(rank)),
    )  # fmt: skip


def cut(builder: ProgramBuilder, x: Tensor, axis: int, sizes: Sequence[int]) -> list[Tensor]:
    """Pieces of these sizes along an axis."""
    parts, start = [], 0
    for size in sizes:
        parts.append(take(builder, x, axis, start, start + size))
        start += size
    return parts


def gather(builder: ProgramBuilder, x: Tensor, axis: int, index: np.ndarray) -> Tensor:
    """Elements at constant indices along an axis: one of them, or a run at equal distances.

    Raises:
        ModelError: indices that no slice takes.
    """
    if isinstance(x, Const) and x.scale is None:
        return Const(np.take(x.data, index, axis))
    extent = x.shape[axis]
    places = [int(k) + (extent if k < 0 else 0) for k in np.asarray(index).reshape(-1)]
    steps = {b - a for a, b in pairwise(places)} or {1}
    if len(steps) > 1 or min(steps) < 1 or not places:
        raise builder.error(
            "a gather of scattered indices is not supported",
            "gather a run of indices at equal distances, which is a slice",
        )
    part = take(builder, x, axis, places[0], places[-1] + 1, min(steps))
    shape = (*x.shape[:axis], *np.asarray(index).shape, *x.shape[axis + 1 :])
    return builder.reshape(part, tuple(int(n) for n in shape))


def tile(builder: ProgramBuilder, x: Tensor, counts: Sequence[int]) -> Tensor:
    """Copies side by side: along an axis of extent 1 a repetition, else a concatenation."""
    for axis, count in enumerate(counts):
        if count == 1:
            continue
        if x.shape[axis] == 1:
            x = repeat(builder, x, tuple(count if k == axis else 1 for k in range(len(x.shape))))
        else:
            x = builder.emit("concat", [x] * count, axis=axis)
    return x


Widths = tuple[tuple[int, int], ...]


def check_padding(builder: ProgramBuilder, mode: str) -> None:
    """Raises the error about padding with anything but a constant."""
    if mode != "constant":
        raise builder.error(f"padding of the kind '{mode}' is not supported", PADDING_HELP)


def crop(
    builder: ProgramBuilder, x: Tensor, widths: Sequence[tuple[int, int]]
) -> tuple[Tensor, Widths]:
    """x without the elements that negative widths take away (a chomp), and what is left to pad."""
    starts = tuple(max(0, -before) for before, _ in widths)
    stops = tuple(n + min(0, after) for n, (_, after) in zip(x.shape, widths, strict=True))
    if any(starts) or stops != x.shape:
        x = builder.emit("slice", [x], starts=starts, stops=stops, steps=(1,) * len(widths))
    return x, tuple((max(0, before), max(0, after)) for before, after in widths)


def expand(builder: ProgramBuilder, x: Tensor, shape: Shape) -> Tensor:
    """x broadcast to a shape of the same rank or a higher one."""
    if isinstance(x, Const):
        return Const(np.broadcast_to(x.real(), np.broadcast_shapes(x.shape, shape)))
    wide = builder.reshape(x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    return tile(
        builder, wide, [n // m if m != n else 1 for n, m in zip(shape, wide.shape, strict=True)]
    )


def repeat(builder: ProgramBuilder, x: Tensor, factors: Shape) -> Tensor:
    """Each element so many times in a row along each axis; x where every factor is 1."""
    return x if all(f == 1 for f in factors) else builder.emit("repeat", [x], factors=factors)


def resize_nearest(builder: ProgramBuilder, x: Tensor, shape: Shape) -> Tensor:
    """x with each element repeated so that it has the shape.

    Raises:
        ModelError: a factor that is not whole.
    """
    factors = tuple(n // m for n, m in zip(shape, x.shape, strict=True))
    if any(m * f != n for n, m, f in zip(shape, x.shape, factors, strict=True)):
        raise builder.error(
            f"a resize from {list(x.shape)} to {list(shape)} is not supported",
            "resize by whole factors with nearest neighbours",
        )
    return repeat(builder, x, factors)


def depth_to_space(
    builder: ProgramBuilder, x: Tensor, size: int, *, channels_last: bool, columns_first: bool
) -> Tensor:
    """Channels moved into a map size times as high and as wide.

    Args:
        columns_first: whether a channel's number is (offset, depth), as in TensorFlow and ONNX's
            DCR; else (depth, offset), as in PyTorch's PixelShuffle and ONNX's CRD.
    """
    if channels_last:
        n, h, w, c = x.shape
        left = c // (size * size)
        parts = (size, size, left) if columns_first else (left, size, size)
        cut_ = builder.reshape(x, (n, h, w, *parts))
        axes = (0, 1, 3, 2, 4, 5) if columns_first else (0, 1, 4, 2, 5, 3)
        moved = builder.emit("permute", [cut_], axes=axes)
        return builder.reshape(moved, (n, h * size, w * size, left))
    n, c, h, w = x.shape
    left = c // (size * size)
    parts = (size, size, left) if columns_first else (left, size, size)
    cut_ = builder.reshape(x, (n, *parts, h, w))
    axes = (0, 3, 4, 1, 5, 2) if columns_first else (0, 1, 4, 2, 5, 3)
    return builder.reshape(
        builder.emit("permute", [cut_], axes=axes), (n, left, h * size, w * size)
    )


def space_to_depth(
    builder: ProgramBuilder,
    x: Tensor,
    size: int,
    *,
    channels_last: bool,
    columns_first: bool = True,
) -> Tensor:
    """The reverse of `depth_to_space`."""
    if channels_last:
        n, h, w, c = x.shape
        cut_ = builder.reshape(x, (n, h // size, size, w // size, size, c))
        moved = builder.emit("permute", [cut_], axes=(0, 1, 3, 2, 4, 5))
        return builder.reshape(moved, (n, h // size, w // size, size * size * c))
    n, c, h, w = x.shape
    cut_ = builder.reshape(x, (n, c, h // size, size, w // size, size))
    axes = (0, 3, 5, 1, 2, 4) if columns_first else (0, 1, 3, 5, 2, 4)
    moved = builder.emit("permute", [cut_], axes=axes)
    return builder.reshape(moved, (n, c * size * size, h // size, w // size))


def channel_scale(
    builder: ProgramBuilder,
    x: Tensor,
    scale: np.ndarray,
    shift: np.ndarray,
    axis: int,
    source: str | None = None,
) -> Tensor:
    """scale * x + shift with one number a channel: what a batch normalisation infers.

    Args:
        source: the tensor of the user's file that shifts.
    """
    extents = [1] * len(x.shape)
    extents[axis] = scale.size
    scaled = builder.emit("multiply", [x, Const(scale.reshape(extents))])
    return builder.emit("add", [scaled, Const(shift.reshape(extents), source=source)])


def is_whole(x: Call) -> bool:
    """Whether a call gives whole numbers: it rounds, or compares."""
    return x.op == "unary" and UNARY[x.attrs["function"]].jumps


Relation = Literal[">", ">=", "<", "<="]


def compare(builder: ProgramBuilder, a: Tensor, b: Tensor, relation: Relation) -> Tensor:
    """1 where a stands in the relation to b, else 0.

    Raises:
        ModelError: integers, which stand for indices and not for numbers.
    """
    if any(isinstance(side, Call) and side.dtype != "float32" for side in (a, b)):
        raise builder.error("a comparison of integers is not supported", help_for("greater"))
    sides = [a, b] if relation in (">", ">=") else [b, a]
    difference = builder.emit("subtract", sides)
    return builder.unary(difference, "positive" if relation in (">", "<") else "not_negative")


def select(builder: ProgramBuilder, condition: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """a where the condition is 1, b where it is 0.

    Raises:
        ModelError: a condition that does not come from a comparison of what the model computes.
    """
    if not isinstance(condition, Call) or condition.dtype != "float32":
        raise builder.error("a choice by a constant mask is not supported", help_for("where"))
    parts = []
    for chosen, weight in ((a, condition), (b, builder.unary(condition, "linear", -1.0, 1.0))):
        if isinstance(chosen, Call) or np.any(chosen.real()):
            parts.append(builder.emit("multiply", [weight, chosen]))
    if not parts:
        return builder.emit("multiply", [condition, a])
    return parts[0] if len(parts) == 1 else builder.emit("add", parts)
