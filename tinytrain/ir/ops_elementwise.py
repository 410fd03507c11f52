"""Operations element by element and their gradients; `clamp` as in `ops_convolution`."""

from __future__ import annotations

from tinytrain.ir.expression import EXPRESSION, is_sound
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
)
from tinytrain.ir.types import DType
from tinytrain.ir.unary import UNARY

_SUM = Traits(
    contract="tt_add_{}",
    by_rows=True,
    integers=Integers.RESCALED,
    largest_factor=lambda node: (
        2.0 * max(map(scale_or_one, node.inputs)) / (2.0**20 * scale_or_one(node.output))
    ),
    in_place=(0, 1),
)


@register("add", "element-wise sum of two tensors of one shape", "clamp", _SUM)
@register("subtract", "element-wise difference of two tensors of one shape", "clamp", _SUM)
def _add(node: Node) -> Signature:
    a, b = (value.type for value in node.inputs)
    expect(a.shape == b.shape, f"shapes {a.shape} and {b.shape} differ")
    return ((a.shape, (same_dtype(node),)),)


@register(
    "multiply",
    "a [1,H,W,C] times b of the same shape, or [1,1,1,C], or one element",
    "clamp",
    Traits(
        contract="tt_multiply_{}",
        integers=Integers.RESCALED,
        largest_factor=lambda node: (
            scale_or_one(node.inputs[0]) * scale_or_one(node.inputs[1]) / scale_or_one(node.output)
        ),
        in_place=(0,),
    ),
)
def _multiply(node: Node) -> Signature:
    a, b = (value.type for value in node.inputs)
    broadcast = len(a.shape) == len(b.shape) and all(
        q in (p, 1) for p, q in zip(a.shape, b.shape, strict=True)
    )
    channels_or_one = b.size in (1, a.size) or b.size == b.shape[-1]
    expect(broadcast and channels_or_one, f"cannot multiply {a.shape} by {b.shape}")
    return ((a.shape, (same_dtype(node),)),)


@register(
    "activation",
    "a function of `ir.unary.UNARY`, or an expression with its steps, element by element",
    "function alpha beta",
    Traits(contract="tt_lookup_{}", by_rows=True, integers=Integers.RESCALED, in_place=(0,)),
    optional="steps",
)
def _activation(node: Node) -> Signature:
    function = node.attrs["function"]
    if function == EXPRESSION:
        expect(is_sound(node.attrs.get("steps", ())), "an expression without steps that hold")
    else:
        expect(function in UNARY, f"unknown function {function!r}")
    return ((node.inputs[0].type.shape, (same_dtype(node),)),)


@register(
    "clamp_mask",
    "one bit an element: lo < y < hi",
    "clamp",
    Traits(contract="tt_clamp_mask_{}", role=Role.TRAINING),
)
def _clamp_mask(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (DType.BIT,)),)


@register(
    "grad_clamp",
    "g where lo < y < hi, else 0; y is s8, or a mask of clamp_mask",
    "clamp",
    Traits(role=Role.GRADIENT, by_channels=True, in_place=(0,)),
)
def _grad_clamp(node: Node) -> Signature:
    g, y = (value.type for value in node.inputs)
    expect(g.shape == y.shape, f"gradient {g.shape} of an output {y.shape}")
    expect(y.dtype in (DType.S8, DType.BIT), "y is s8 or a mask")
    return ((g.shape, (gradient_dtype(node),)),)


@register(
    "grad_add",
    "sum of the gradients of two branches",
    traits=Traits(contract="tt_grad_add_{}", role=Role.GRADIENT, in_place=(0, 1), rounds=True),
)
def _grad_add(node: Node) -> Signature:
    a, b = (value.type for value in node.inputs)
    expect(a.shape == b.shape and a.dtype is b.dtype, "branches differ in shape or dtype")
    return ((a.shape, (gradient_dtype(node),)),)


@register(
    "negate",
    "the gradient with the other sign, which is as large",
    traits=Traits(role=Role.GRADIENT, contract="tt_negate_{}", in_place=(0,)),
)
def _negate(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (gradient_dtype(node),)),)


@register(
    "activation_grad",
    "dX from g and x (s8); output_quantization is (scale, zero_point) of the forward output",
    "function alpha beta output_quantization",
    Traits(
        contract="tt_lookup_{}_grad",
        role=Role.GRADIENT,
        by_channels=True,
        in_place=(0,),
        saves=(1,),
        rounds=True,
    ),
    optional="steps",
)
def _activation_grad(node: Node) -> Signature:
    expect(node.inputs[1].type.dtype is DType.S8, "x is s8")
    return ((node.inputs[0].type.shape, (gradient_dtype(node),)),)


@register(
    "multiply_grad",
    "gradient of the factor that is not broadcast: g times the other (s8)",
    traits=Traits(
        contract="tt_multiply_{}_grad", role=Role.GRADIENT, in_place=(0,), saves=(1,), rounds=True
    ),
)
def _multiply_grad(node: Node) -> Signature:
    return ((node.inputs[0].type.shape, (gradient_dtype(node),)),)


@register(
    "multiply_grad_broadcast",
    "gradient of a broadcast factor: g times the other (s8), summed",
    "input_shape",
    Traits(
        contract="tt_multiply_{}_grad_broadcast",
        role=Role.GRADIENT,
        saves=(1,),
        rounds=True,
        terms=Terms(
            "terms in a sum", lambda node: node.inputs[0].type.size, lambda node: 2**24 - 1
        ),
    ),
)
def _multiply_grad_broadcast(node: Node) -> Signature:
    return ((tuple(node.attrs["input_shape"]), (gradient_dtype(node),)),)
