"""Pooling and its gradients; `clamp` as in `ops_convolution`."""

from __future__ import annotations

import math
from dataclasses import replace

from tinytrain.ir.graph import Node
from tinytrain.ir.ops import (
    Integers,
    Role,
    Signature,
    Terms,
    Traits,
    expect,
    gradient_dtype,
    register,
    same_dtype,
    scale_or_one,
    window_shape,
)
from tinytrain.ir.types import DType


def _window(node: Node) -> tuple[int, int]:
    height, width = node.attrs["window"]
    return height, width


@register(
    "avg_pool2d",
    "mean over a window; with count_include_pad false, over the part of it inside the map",
    "window strides padding count_include_pad clamp",
    Traits(
        contract="tt_avg_pool2d_{}",
        kind="avg_pool",
        window=_window,
        by_rows=True,
        integers=Integers.RESCALED,
        within_range=True,
        largest_factor=lambda node: scale_or_one(node.inputs[0]) / scale_or_one(node.output),
        terms=Terms(
            "elements in a window", lambda node: math.prod(_window(node)), lambda node: 65_536
        ),
    ),
)
def _avg_pool2d(node: Node) -> Signature:
    return ((pool_shape(node), (same_dtype(node),)),)


_MAXIMUM = Traits(
    contract="tt_max_pool2d_{}",
    kind="max_pool",
    window=_window,
    by_rows=True,
    integers=Integers.SAME,
    within_range=True,
)


@register(
    "max_pool2d",
    "largest element of a window; padding never wins",
    "window strides padding clamp",
    replace(_MAXIMUM, trained_as="max_pool2d_winner"),
)
def _max_pool2d(node: Node) -> Signature:
    return ((pool_shape(node), (same_dtype(node),)),)


def pool_shape(node: Node) -> tuple[int, ...]:
    """Output shape of a pooling node."""
    x = node.inputs[0].type
    expect(len(x.shape) == 4, "pooling takes a 4-D map")
    top, left, bottom, right = node.attrs["padding"]
    window = node.attrs["window"]
    expect(
        max(top, bottom) < window[0] and max(left, right) < window[1],
        "padding as wide as the window",
    )
    height, width = window_shape(node, window, (1, 1))
    return (x.shape[0], height, width, x.shape[3])


@register(
    "max_pool2d_winner",
    "max_pool2d that also says which tap won, u8",
    "window strides padding clamp",
    replace(_MAXIMUM, by_rows=False),
)
def _max_pool2d_winner(node: Node) -> Signature:
    expect(
        node.attrs["window"][0] * node.attrs["window"][1] <= 256, "a window of more than 256 taps"
    )
    shape = pool_shape(node)
    return ((shape, (DType.S8,)), (shape, (DType.U8,)))


@register(
    "max_pool2d_grad",
    "dX from g and the winners",
    "window strides padding input_shape",
    Traits(contract="tt_max_pool2d_{}_grad", role=Role.GRADIENT, saves=(1,), rounds=True),
)
def _max_pool2d_grad(node: Node) -> Signature:
    expect(
        node.inputs[0].type.shape == node.inputs[1].type.shape,
        "gradient and winners differ in shape",
    )
    return ((tuple(node.attrs["input_shape"]), (gradient_dtype(node),)),)


@register(
    "avg_pool2d_grad",
    "dX from g",
    "window strides padding count_include_pad input_shape",
    Traits(contract="tt_avg_pool2d_{}_grad", role=Role.GRADIENT, rounds=True),
)
def _avg_pool2d_grad(node: Node) -> Signature:
    return ((tuple(node.attrs["input_shape"]), (gradient_dtype(node),)),)
