"""The operations that a reader may write: one row each, with its shape and its value in NumPy.

A call whose arguments are all constant is worked out at once by the row's `evaluate`, so that no
reader has to fold constants. Axes count from the front and are never negative. Windows, strides and
dilations are (height, width), paddings (top, left, bottom, right); a signal is a map of height 1 in
these, whatever the rank of its tensor. Weights are [O, KH, KW, I/groups] for `conv`, [O, I] for
`dense`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.frontend.program import Shape
from tinytrain.ir import unary
from tinytrain.ir.ops import window_output

Attrs = Mapping[str, Any]
ShapeRule = Callable[[Sequence[Shape], Attrs], Shape]
Evaluate = Callable[[Sequence[np.ndarray], Attrs], np.ndarray]


@dataclass(frozen=True)
class Word:
    """One operation.

    Attributes:
        summary: arguments and meaning.
        attrs: the attributes that every call has, and no others.
        shape: of the result, from the arguments' shapes.
        evaluate: its value for constant arguments (reals, float64 or integers); None where nobody
            applies it to constants.
        moves: whether it only moves elements, which leaves their quantization as it is.
    """

    summary: str
    attrs: frozenset[str]
    shape: ShapeRule
    evaluate: Evaluate | None = None
    moves: bool = False


def _same(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    return shapes[0]


def _broadcast(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    return tuple(np.broadcast_shapes(*shapes))


def _window(shape: Shape, kernel: Sequence[int], attrs: Attrs) -> tuple[int, ...]:
    """Spatial extents behind a window, (H, W) or, for a signal, (L,)."""
    axis = attrs["channel_axis"]
    spatial = [extent for place, extent in enumerate(shape) if place not in (0, axis)]
    dilation = attrs.get("dilation", (1, 1))
    padding, strides = attrs["padding"], attrs["strides"]
    first = 2 - len(spatial)
    return tuple(
        window_output(extent, kernel[k], strides[k], padding[k], padding[k + 2], dilation[k])
        for k, extent in enumerate(spatial, start=first)
    )


def _map(shape: Shape, channels: int, spatial: tuple[int, ...], axis: int) -> Shape:
    rest = iter(spatial)
    return tuple(
        shape[0] if place == 0 else channels if place == axis else next(rest)
        for place in range(len(shape))
    )


def _conv(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    x, w = shapes[:2]
    return _map(x, w[0], _window(x, w[1:3], attrs), attrs["channel_axis"])


def _pool(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    (x,) = shapes
    axis = attrs["channel_axis"]
    return _map(x, x[axis], _window(x, attrs["window"], attrs), axis)


def _reduce(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    axes = attrs["axes"]
    if attrs["keep"]:
        return tuple(1 if k in axes else n for k, n in enumerate(shapes[0]))
    return tuple(n for k, n in enumerate(shapes[0]) if k not in axes)


_REDUCTIONS: dict[str, Any] = {
    "length": lambda x, axis, keepdims: np.sqrt(np.sum(np.square(x), axis=axis, keepdims=keepdims)),
    "mean": np.mean, "max": np.max, "min": np.min, "sum": np.sum, "product": np.prod,
}  # fmt: skip


def _slices(attrs: Attrs) -> tuple[slice, ...]:
    parts = zip(attrs["starts"], attrs["stops"], attrs["steps"], strict=True)
    return tuple(slice(start, stop, step) for start, stop, step in parts)


def _slice(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    return tuple(
        len(range(extent)[part]) for extent, part in zip(shapes[0], _slices(attrs), strict=True)
    )


def _concat(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    axis = attrs["axis"]
    joined = sum(shape[axis] for shape in shapes)
    return (*shapes[0][:axis], joined, *shapes[0][axis + 1 :])


def _pad(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    pairs = zip(shapes[0], attrs["widths"], strict=True)
    return tuple(extent + before + after for extent, (before, after) in pairs)


def _repeat(args: Sequence[np.ndarray], attrs: Attrs) -> np.ndarray:
    x = args[0]
    for axis, factor in enumerate(attrs["factors"]):
        x = np.repeat(x, factor, axis) if factor != 1 else x
    return x


def _factors(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    return tuple(n * f for n, f in zip(shapes[0], attrs["factors"], strict=True))


def _given(shapes: Sequence[Shape], attrs: Attrs) -> Shape:
    shape: Shape = attrs["shape"]
    if math.prod(shape) != math.prod(shapes[0]):
        raise ValueError(f"{list(shapes[0])} cannot be seen as {list(shape)}")
    return shape


def _reals(function: Callable[..., Any]) -> Evaluate:
    def evaluate(args: Sequence[np.ndarray], attrs: Attrs) -> np.ndarray:
        with np.errstate(all="ignore"):
            return np.asarray(function(*args))

    return evaluate


def _row(
    summary: str,
    attrs: str,
    shape: ShapeRule,
    evaluate: Evaluate | None = None,
    *,
    moves: bool = False,
) -> Word:
    return Word(summary, frozenset(attrs.split()), shape, evaluate, moves)


VOCABULARY: dict[str, Word] = {
    "conv": _row(
        "x, w, b: convolution", "strides padding dilation groups channel_axis", _conv
    ),
    "dense": _row("x [1,I], w, b: matrix product", "", lambda s, a: (s[0][0], s[1][0])),
    "pool": _row(
        "x: window of kind avg or max; the padding counts in a mean where count_include_pad says",
        "kind window strides padding count_include_pad channel_axis",
        _pool,
    ),
    "reduce": _row(
        f"x: {', '.join(_REDUCTIONS)} over axes, which stay with extent 1 where keep says",
        "kind axes keep",
        _reduce,
        lambda x, a: np.asarray(_REDUCTIONS[a["kind"]](x[0], axis=a["axes"], keepdims=a["keep"])),
    ),
    "add": _row("a, b: a + b", "", _broadcast, _reals(np.add)),
    "subtract": _row("a, b: a - b", "", _broadcast, _reals(np.subtract)),
    "multiply": _row("a, b: a * b", "", _broadcast, _reals(np.multiply)),
    "divide": _row("a, b: a / b", "", _broadcast, _reals(np.true_divide)),
    "maximum": _row("a, b: the larger", "", _broadcast, _reals(np.maximum)),
    "minimum": _row("a, b: the smaller", "", _broadcast, _reals(np.minimum)),
    "unary": _row(
        "x: a function of `ir.unary.UNARY`, element by element",
        "function alpha beta",
        _same,
        lambda x, a: unary.evaluate(a["function"], x[0], a["alpha"], a["beta"]),
    ),
    "prelu": _row(
        "x, slope (one number, or one a channel): x, or slope * x below 0",
        "channel_axis",
        _same,
    ),
    "softmax": _row("x: over one axis", "axis", _same),
    "log_softmax": _row("x: over one axis", "axis", _same),
    "l2_normalize": _row(
        "x: divided by its length along axis, which is at least epsilon", "axis epsilon", _same
    ),
    "argmax": _row(
        "x: index of the largest along axis; only at the end of a model, where it is left out",
        "axis keep",
        lambda s, a: _reduce(s, {"axes": (a["axis"],), "keep": a["keep"]}),
    ),
    "reshape": _row(
        "x: the same elements in the user's order, under another shape", "shape", _given,
        lambda x, a: x[0].reshape(a["shape"]), moves=True,
    ),
    "permute": _row(
        "x: axis k of the result is axis axes[k]",
        "axes",
        lambda s, a: tuple(s[0][axis] for axis in a["axes"]),
        lambda x, a: x[0].transpose(a["axes"]),
        moves=True,
    ),
    "slice": _row(
        "x: for each axis its start, stop and step, as a Python slice of step >= 1 takes them",
        "starts stops steps",
        _slice,
        lambda x, a: x[0][_slices(a)],
        moves=True,
    ),
    "concat": _row(
        "tensors, one behind the other along axis",
        "axis",
        _concat,
        lambda x, a: np.concatenate(x, a["axis"]),
    ),
    "pad": _row(
        "x: value around it, widths (before, after) for each axis",
        "widths value",
        _pad,
        lambda x, a: np.pad(x[0], a["widths"], constant_values=a["value"]),
    ),
    "repeat": _row(
        "x: each element factors[axis] times in a row along each axis (nearest-neighbour resize)",
        "factors",
        _factors,
        _repeat,
        moves=True,
    ),
    "quantize": _row("x: integers of dtype", "scale zero_point dtype", _same),
    "dequantize": _row("x: the reals that integers stand for", "scale zero_point", _same),
}  # fmt: skip
"""By name; `input` is no row, it has no arguments."""
