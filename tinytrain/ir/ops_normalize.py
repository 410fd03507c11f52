"""L2 normalisation and its gradient."""

from __future__ import annotations

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
)
from tinytrain.ir.types import DType, Quantization

NORMALIZED = Quantization((1 / 128,), 0)
"""Of every s8 output: what TFLite's 8-bit specification gives L2_NORMALIZATION."""

_TERMS = Terms(
    "channels in a length",
    lambda node: node.inputs[0].type.shape[-1],
    lambda node: (2**31 - 1) // 255**2,
)


@register(
    "l2_normalize",
    "each vector along the last axis divided by its length; of zeros, zeros",
    traits=Traits(
        contract="tt_l2_normalize_{}", integers=Integers.RESCALED, terms=_TERMS, in_place=(0,)
    ),
)
def _l2_normalize(node: Node) -> Signature:
    x, y = node.inputs[0].type, node.outputs[0].type
    expect(
        y.dtype is not DType.S8 or y.quantization == NORMALIZED,
        "an s8 output has scale 1/128 and zero point 0",
    )
    return ((x.shape, (same_dtype(node),)),)


@register(
    "l2_normalize_grad",
    "dX from g and x (s8)",
    traits=Traits(
        contract="tt_l2_normalize_{}_grad",
        role=Role.GRADIENT,
        in_place=(0,),
        saves=(1,),
        rounds=True,
        terms=_TERMS,
    ),
)
def _l2_normalize_grad(node: Node) -> Signature:
    g, x = (value.type for value in node.inputs)
    expect(g.shape == x.shape and x.dtype is DType.S8, "x is s8, of the shape of g")
    return ((g.shape, (gradient_dtype(node),)),)
