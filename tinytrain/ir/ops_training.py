"""Operations that only a training graph holds: loss and gradients; `ops_update` has the updates.

A gradient is s8, s16 or f32 (`GRADIENT`). An integer gradient's type names its exponent; nodes that
round a sum to integers introduce a new exponent, nodes that only move or mask integers keep it.
A sum (dW, dB) is s32, or f32 where gradients are f32.
"""

from __future__ import annotations

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.ops import Signature, expect, register, with_axis
from tinytrain.ir.ops_forward import pool_shape
from tinytrain.ir.types import DType

GRADIENT = (DType.S8, DType.S16, DType.F32)
LOSS_OPS = frozenset({"softmax_cross_entropy", "mean_squared_error"})
"""Operations whose outputs are the loss and its gradient."""


def loss_index(graph: Graph) -> int:
    """Place of the loss among the nodes: those before it are the forward pass.

    Raises:
        InternalError: the graph has none.
    """
    for index, node in enumerate(graph.nodes):
        if node.op in LOSS_OPS:
            return index
    raise InternalError("the graph has no loss")


TRAINING_ONLY = frozenset({"clamp_mask", "gather_channels"})
"""Operations between forward nodes that inference leaves out."""

GEOMETRY = "strides padding dilation groups"


def _gradient(node: Node, index: int = 0) -> DType:
    dtype = node.inputs[index].type.dtype
    expect(dtype in GRADIENT, f"a gradient is s8, s16 or f32, not {dtype.value}")
    return dtype


def _sum(dtype: DType) -> tuple[DType, ...]:
    return (DType.F32,) if dtype is DType.F32 else (DType.S32,)


@register(
    "softmax_cross_entropy",
    "logits f32 [1,N], label s32 [1] to loss f32 [1], gradient f32; smoothing: of the label",
    in_place=(0,),
    optional="smoothing",
)
def _softmax_cross_entropy(node: Node) -> Signature:
    logits, label = (value.type for value in node.inputs)
    expect(len(logits.shape) == 2 and logits.dtype is DType.F32, "logits are f32 [1,N]")
    expect(label.shape == (1,) and label.dtype is DType.S32, "a label is s32 [1]")
    expect(0.0 < node.attrs.get("smoothing", 0.5) < 1.0, "smoothing is above 0 and below 1")
    return (((1,), (DType.F32,)), (logits.shape, (DType.F32,)))


@register(
    "mean_squared_error",
    "output f32, target f32 of its shape to loss f32 [1], gradient f32",
    in_place=(0,),
)
def _mean_squared_error(node: Node) -> Signature:
    output, target = (value.type for value in node.inputs)
    expect(output.shape == target.shape, f"output {output.shape}, target {target.shape}")
    return (((1,), (DType.F32,)), (output.shape, (DType.F32,)))


@register(
    "quantize_gradient", "the loss gradient divided by 2^n, as integers; sets n", in_place=(0,)
)
def _quantize_gradient(node: Node) -> Signature:
    expect(node.inputs[0].type.dtype is DType.F32, "the loss gradient is f32")
    return ((node.inputs[0].type.shape, GRADIENT),)


@register("clamp_mask", "one bit an element: lo < y < hi", "clamp")
def _clamp_mask(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (DType.BIT,)),)


@register(
    "grad_clamp",
    "g where lo < y < hi, else 0; y is s8, or a mask of clamp_mask",
    "clamp",
    in_place=(0,),
)
def _grad_clamp(node: Node) -> Signature:
    g, y = (value.type for value in node.inputs)
    expect(g.shape == y.shape, f"gradient {g.shape} of an output {y.shape}")
    expect(y.dtype in (DType.S8, DType.BIT), "y is s8 or a mask")
    return ((g.shape, (_gradient(node),)),)


@register("grad_add", "sum of the gradients of two branches", in_place=(0, 1))
def _grad_add(node: Node) -> Signature:
    a, b = (value.type for value in node.inputs)
    expect(a.shape == b.shape and a.dtype is b.dtype, "branches differ in shape or dtype")
    return ((a.shape, (_gradient(node),)),)


@register("slice", "`size` indices from `start` on along `axis`", "axis start size")
def _slice(node: Node) -> Signature:
    shape, axis = node.inputs[0].type.shape, node.attrs["axis"]
    expect(node.attrs["start"] + node.attrs["size"] <= shape[axis], "slice beyond the end")
    return ((with_axis(shape, axis, node.attrs["size"]), (node.inputs[0].type.dtype,)),)


@register("gather_channels", "the listed indices of the last axis", "channels")
def _gather_channels(node: Node) -> Signature:
    x, channels = node.inputs[0].type, node.attrs["channels"]
    expect(min(channels) >= 0 and max(channels) < x.shape[-1], "channel out of range")
    expect(list(channels) == sorted(set(channels)), "channels are not ascending")
    return (((*x.shape[:-1], len(channels)), (x.dtype,)),)


@register(
    "merge_channels",
    "a view: `trained` holds indices `channels` of `axis`, `frozen` the others",
    "axis channels",
)
def _merge_channels(node: Node) -> Signature:
    trained, frozen = (value.type for value in node.inputs)
    axis = node.attrs["axis"]
    total = trained.shape[axis] + frozen.shape[axis]
    expect(trained.shape[axis] == len(node.attrs["channels"]), "channels and trained part differ")
    expect(max(node.attrs["channels"]) < total, "channel out of range")
    return ((with_axis(trained.shape, axis, total), (trained.dtype,)),)


@register("conv2d_grad_input", "dX from g and w", f"{GEOMETRY} input_shape")
def _conv2d_grad_input(node: Node) -> Signature:
    g, w = (value.type for value in node.inputs)
    expect(g.shape[-1] == w.shape[0], f"gradient {g.shape} for weights {w.shape}")
    return ((tuple(node.attrs["input_shape"]), (_gradient(node),)),)


@register("conv2d_grad_weight", "dW from x and g", f"{GEOMETRY} kernel")
def _conv2d_grad_weight(node: Node) -> Signature:
    return ((weights_shape(node), _sum(_gradient(node, 1))),)


def weights_shape(node: Node) -> tuple[int, ...]:
    """Shape of the weights whose gradient a node forms from x and g."""
    x, g = (value.type for value in node.inputs[:2])
    expect(x.shape[-1] % node.attrs["groups"] == 0, "groups do not divide the channels")
    return (g.shape[-1], *node.attrs["kernel"], x.shape[-1] // node.attrs["groups"])


@register("bias_grad", "dB: sum of g over positions")
def _bias_grad(node: Node) -> Signature:
    return (((node.inputs[0].type.shape[-1],), _sum(_gradient(node))),)


@register(
    "max_pool2d_winner",
    "max_pool2d that also says which tap won, u8",
    "window strides padding clamp",
)
def _max_pool2d_winner(node: Node) -> Signature:
    expect(
        node.attrs["window"][0] * node.attrs["window"][1] <= 256, "a window of more than 256 taps"
    )
    shape = pool_shape(node)
    return ((shape, (DType.S8,)), (shape, (DType.U8,)))


@register("max_pool2d_grad", "dX from g and the winners", "window strides padding input_shape")
def _max_pool2d_grad(node: Node) -> Signature:
    expect(
        node.inputs[0].type.shape == node.inputs[1].type.shape,
        "gradient and winners differ in shape",
    )
    return ((tuple(node.attrs["input_shape"]), (_gradient(node),)),)


@register("avg_pool2d_grad", "dX from g", "window strides padding count_include_pad input_shape")
def _avg_pool2d_grad(node: Node) -> Signature:
    return ((tuple(node.attrs["input_shape"]), (_gradient(node),)),)


@register(
    "activation_grad",
    "dX from g and x (s8); output_quantization is (scale, zero_point) of the forward output",
    "function alpha beta output_quantization",
    in_place=(0,),
)
def _activation_grad(node: Node) -> Signature:
    expect(node.inputs[1].type.dtype is DType.S8, "x is s8")
    return ((node.inputs[0].type.shape, (_gradient(node),)),)


@register(
    "multiply_grad",
    "gradient of the factor that is not broadcast: g times the other (s8)",
    in_place=(0,),
)
def _multiply_grad(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (_gradient(node),)),)


@register(
    "multiply_grad_broadcast",
    "gradient of a broadcast factor: g times the other (s8), summed",
    "input_shape",
)
def _multiply_grad_broadcast(node: Node) -> Signature:
    return ((tuple(node.attrs["input_shape"]), (_gradient(node),)),)
