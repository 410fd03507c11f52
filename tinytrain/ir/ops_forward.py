"""Forward operations. Float models hold them with f32 values; `quantize.integerize` makes them s8.

In s8 form a node that computes has the attribute `clamp` = (lowest, highest) output integer: the
activation that was fused into it. Float nodes carry the whole range (-128, 127), unused.
"""

from __future__ import annotations

from tinytrain.ir.graph import Node
from tinytrain.ir.ops import Signature, expect, register, same_dtype, window_shape, with_axis
from tinytrain.ir.types import DType

ACTIVATIONS = frozenset(
    {"relu", "relu6", "hard_swish", "hard_sigmoid", "sigmoid", "tanh", "leaky_relu", "identity"}
)
"""Element-wise functions of the `activation` operation. `leaky_relu` slopes `alpha` below zero;
`hard_sigmoid` is max(0, min(1, alpha * x + beta)); `hard_swish` is x * relu6(x + 3) / 6; the
others take no parameter and have alpha = beta = 0. `identity` in s8 form changes the scale."""


@register("quantize", "f32 to s8 (or u8, s32) with the quantization of the output")
def _quantize(node: Node) -> Signature:
    expect(node.inputs[0].type.dtype is DType.F32, "quantize takes f32")
    expect(node.output.type.quantization is not None, "the output has no quantization")
    return ((node.inputs[0].type.shape, (DType.S8, DType.U8, DType.S32)),)


@register("dequantize", "integers to f32 with the quantization of the input")
def _dequantize(node: Node) -> Signature:
    expect(node.inputs[0].type.quantization is not None, "the input has no quantization")
    return ((node.inputs[0].type.shape, (DType.F32,)),)


@register(
    "conv2d", "x [1,H,W,I], w [O,KH,KW,I/groups], b [O]", "strides padding dilation groups clamp"
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
    height, width = window_shape(node, (k_h, k_w), node.attrs["dilation"])
    return (((x.shape[0], height, width, out), _results(x.dtype)),)


@register("dense", "x [1,I], w [O,I], b [O]", "clamp")
def _dense(node: Node) -> Signature:
    x, w, b = (value.type for value in node.inputs)
    expect(len(x.shape) == 2 and len(w.shape) == 2, "dense takes 2-D input and weights")
    expect(x.shape[1] == w.shape[1], f"{x.shape[1]} inputs, weights for {w.shape[1]}")
    expect(b.shape == (w.shape[0],), f"bias {b.shape} for {w.shape[0]} outputs")
    return (((x.shape[0], w.shape[0]), _results(x.dtype)),)


def _results(dtype: DType) -> tuple[DType, ...]:
    # s32: the raw accumulator, whose real value is scale_x * scale_w[o] * acc; loss logits use it.
    return (DType.F32,) if dtype is DType.F32 else (DType.S8, DType.S32)


@register("add", "element-wise sum of two tensors of one shape", "clamp", in_place=(0, 1))
def _add(node: Node) -> Signature:
    a, b = (value.type for value in node.inputs)
    expect(a.shape == b.shape, f"shapes {a.shape} and {b.shape} differ")
    return ((a.shape, (same_dtype(node),)),)


@register(
    "multiply",
    "a [1,H,W,C] times b of the same shape, or [1,1,1,C], or one element",
    "clamp",
    in_place=(0,),
)
def _multiply(node: Node) -> Signature:
    a, b = (value.type for value in node.inputs)
    broadcast = len(a.shape) == len(b.shape) and all(
        q in (p, 1) for p, q in zip(a.shape, b.shape, strict=True)
    )
    channels_or_one = b.size in (1, a.size) or b.size == b.shape[-1]
    expect(broadcast and channels_or_one, f"cannot multiply {a.shape} by {b.shape}")
    return ((a.shape, (same_dtype(node),)),)


@register("concatenate", "tensors joined along `axis`", "axis")
def _concatenate(node: Node) -> Signature:
    axis = node.attrs["axis"]
    shapes = [value.type.shape for value in node.inputs]
    expect(0 <= axis < len(shapes[0]), f"axis {axis} of {len(shapes[0])}-D tensors")
    rest = {shape[:axis] + shape[axis + 1 :] for shape in shapes}
    expect(len(rest) == 1, f"shapes {shapes} differ outside axis {axis}")
    joined = sum(shape[axis] for shape in shapes)
    return ((with_axis(shapes[0], axis, joined), (same_dtype(node),)),)


@register(
    "avg_pool2d",
    "mean over a window; with count_include_pad false, over the part of it inside the map",
    "window strides padding count_include_pad clamp",
)
def _avg_pool2d(node: Node) -> Signature:
    return ((pool_shape(node), (same_dtype(node),)),)


@register(
    "max_pool2d", "largest element of a window; padding never wins", "window strides padding clamp"
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
    "activation", "an element-wise function, see ACTIVATIONS", "function alpha beta", in_place=(0,)
)
def _activation(node: Node) -> Signature:
    expect(node.attrs["function"] in ACTIVATIONS, f"unknown function {node.attrs['function']!r}")
    return ((node.inputs[0].type.shape, (same_dtype(node),)),)


@register("reshape", "the same elements in the same order under another shape", in_place=(0,))
def _reshape(node: Node) -> Signature:
    shape = node.output.type.shape
    expect(node.output.type.size == node.inputs[0].type.size, f"cannot reshape to {shape}")
    return ((shape, (same_dtype(node),)),)


@register("transpose", "axes permuted: output axis k is input axis axes[k]", "axes")
def _transpose(node: Node) -> Signature:
    axes, shape = node.attrs["axes"], node.inputs[0].type.shape
    expect(sorted(axes) == list(range(len(shape))), f"axes {axes} of a {len(shape)}-D tensor")
    return ((tuple(shape[axis] for axis in axes), (same_dtype(node),)),)


@register("softmax", "softmax over the last axis; only ever the last node of a model")
def _softmax(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (same_dtype(node),)),)
