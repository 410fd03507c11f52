"""An L2 normalisation and its gradient as calls of kernels."""

from __future__ import annotations

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.calls import calls, rescale
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference.gradients import precision
from tinytrain.reference.lowering import scale_of, zero_of
from tinytrain.reference.normalize import inverse_square


def _rows(x: Value) -> tuple[int, int, int]:
    """Vectors, their channels, their zero point."""
    channels = x.type.shape[-1]
    return x.type.size // channels, channels, zero_of(x)


@calls("l2_normalize")
def _l2_normalize(context: EmitContext, node: Node) -> list[str]:
    x = node.inputs[0]
    return [context.kernel_call(node, *_rows(x), *context.places(x, node.output))]


@calls("l2_normalize_grad")
def _l2_normalize_grad(context: EmitContext, node: Node) -> list[str]:
    g, x = node.inputs
    inverse, k = inverse_square(scale_of(x))
    dtype = g.type.dtype
    shift = 0 if dtype is DType.F32 else 22 - precision(dtype.numpy) + k
    factors = (
        f"UINT64_C({inverse})",
        float_literal(1.0 / scale_of(x)),
        rescale(context, node, shift),
    )
    return [context.kernel_call(node, *_rows(x), *factors, *context.places(g, x, node.output))]
