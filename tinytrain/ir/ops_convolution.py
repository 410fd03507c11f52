"""Convolutions, dense layers and their gradients.

In s8 form a node that computes has the attribute `clamp` = (lowest, highest) output integer: the
activation that was fused into it. Float nodes carry the whole range (-128, 127), unused. A
convolution with the attribute `follow` follows drift (`reference.follow`): for each channel three
integers say what it was in training.
"""

from __future__ import annotations

import math

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
    sum_dtypes,
    window_shape,
)
from tinytrain.ir.types import DType

GEOMETRY = "strides padding dilation groups"


_PRODUCTS = Terms(
    "products in a sum",
    lambda node: math.prod(node.inputs[1].type.shape[1:]),
    lambda node: 32_768,  # and a bias of 2^30 fit 32 bits
)


@register(
    "conv2d",
    "x [1,H,W,I], w [O,KH,KW,I/groups], b [O]",
    f"{GEOMETRY} clamp",
    Traits(
        kind="conv",
        has_weights=True,
        window=lambda node: (node.inputs[1].type.shape[1], node.inputs[1].type.shape[2]),
        by_rows=True,
        integers=Integers.RESCALED,
        terms=_PRODUCTS,
    ),
    optional="follow",
)
def _conv2d(node: Node) -> Signature:
    x, w, b = (value.type for value in node.inputs)
    groups = node.attrs["groups"]
    expect(len(x.shape) == 4 and len(w.shape) == 4, "conv2d takes a 4-D map and 4-D weights")
    out, k_h, k_w, per_group = w.shape
    expect(
        x.shape[3] == per_group * groups, f"{x.shape[3]} channels, weights for {per_group * groups}"
    )
    expect(out % groups == 0, f"{out} output channels do not divide into {groups} groups")
    expect(b.shape == (out,), f"bias {b.shape} for {out} output channels")
    if "follow" in node.attrs:
        expect(len(node.attrs["follow"]) == out, "`follow` has an entry for each output channel")
    height, width = window_shape(node, (k_h, k_w), node.attrs["dilation"])
    return (((x.shape[0], height, width, out), _results(x.dtype)),)


@register(
    "dense",
    "x [1,I], w [O,I], b [O]",
    "clamp",
    Traits(trained_as="conv2d", has_weights=True, integers=Integers.RESCALED, terms=_PRODUCTS),
)
def _dense(node: Node) -> Signature:
    x, w, b = (value.type for value in node.inputs)
    expect(len(x.shape) == 2 and len(w.shape) == 2, "dense takes 2-D input and weights")
    expect(x.shape[1] == w.shape[1], f"{x.shape[1]} inputs, weights for {w.shape[1]}")
    expect(b.shape == (w.shape[0],), f"bias {b.shape} for {w.shape[0]} outputs")
    return (((x.shape[0], w.shape[0]), _results(x.dtype)),)


def _results(dtype: DType) -> tuple[DType, ...]:
    # s32: the raw accumulator, whose real value is scale_x * scale_w[o] * acc; loss logits use it.
    return (DType.F32,) if dtype is DType.F32 else (DType.S8, DType.S32)


@register(
    "conv2d_grad_input",
    "dX from g and w",
    f"{GEOMETRY} input_shape",
    Traits(role=Role.GRADIENT, rounds=True),
)
def _conv2d_grad_input(node: Node) -> Signature:
    g, w = (value.type for value in node.inputs)
    expect(g.shape[-1] == w.shape[0], f"gradient {g.shape} for weights {w.shape}")
    return ((tuple(node.attrs["input_shape"]), (gradient_dtype(node),)),)


@register(
    "rescale_bias",
    "a bias in the units of another layer that shares it: both have a scale for each output "
    "channel, and the units of the result are no finer",
    traits=Traits(contract="tt_rescale_bias"),
)
def _rescale_bias(node: Node) -> Signature:
    b = node.inputs[0].type
    expect(b.dtype is DType.S32 and len(b.shape) == 1, "a bias is s32 [O]")
    return ((b.shape, (DType.S32,)),)


_MOST_POSITIONS = {DType.S8: 66_311, DType.S16: 2**24, DType.F32: 2**24}

POSITIONS = Terms(
    "positions",
    lambda node: math.prod(node.inputs[1].type.shape[1:3]),
    lambda node: _MOST_POSITIONS[node.inputs[1].type.dtype],
)
"""Of a gradient of weights from x and g."""


@register(
    "conv2d_grad_weight",
    "dW from x and g",
    f"{GEOMETRY} kernel",
    Traits(role=Role.GRADIENT, saves=(0,), terms=POSITIONS),
)
def _conv2d_grad_weight(node: Node) -> Signature:
    return ((weights_shape(node), sum_dtypes(gradient_dtype(node, 1))),)


def weights_shape(node: Node) -> tuple[int, ...]:
    """Shape of the weights whose gradient a node forms from x and g."""
    x, g = (value.type for value in node.inputs[:2])
    expect(x.shape[-1] % node.attrs["groups"] == 0, "groups do not divide the channels")
    return (g.shape[-1], *node.attrs["kernel"], x.shape[-1] // node.attrs["groups"])


BIAS_POSITIONS = Terms(
    "positions",
    lambda node: node.inputs[0].type.size // node.inputs[0].type.shape[-1],
    lambda node: 65_536,
)
"""Of a gradient of a bias from g."""


@register(
    "bias_grad",
    "dB: sum of g over positions",
    traits=Traits(role=Role.GRADIENT, terms=BIAS_POSITIONS),
)
def _bias_grad(node: Node) -> Signature:
    return (((node.inputs[0].type.shape[-1],), sum_dtypes(gradient_dtype(node))),)
