"""The table of calls: from a node to the C that runs it, and what calls of all families share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType
from tinytrain.reference.lowering import Factors, zero_of

Call = Callable[[EmitContext, Node], list[str]]
CALLS: dict[str, Call] = {}
"""By operation; no lines for one that only renames or shows."""


def calls(op: str) -> Callable[[Call], Call]:
    """Decorator: enters an operation into the table."""

    def enter(function: Call) -> Call:
        CALLS[op] = function
        return function

    return enter


def window(
    context: EmitContext,
    node: Node,
    x_shape: tuple[int, ...],
    y_shape: tuple[int, ...],
    kernel: Sequence[int],
) -> str:
    """A `tt_window` for a node with the attributes of a convolution or a pooling."""
    dilation = node.attrs.get("dilation", (1, 1))
    whole = context.struct(
        "tt_window",
        f"{node.name}_window",
        {
            "in_h": x_shape[1],
            "in_w": x_shape[2],
            "in_c": x_shape[3],
            "out_h": y_shape[1],
            "out_w": y_shape[2],
            "out_c": y_shape[3],
            "kernel_h": kernel[0],
            "kernel_w": kernel[1],
            "stride_h": node.attrs["strides"][0],
            "stride_w": node.attrs["strides"][1],
            "dilation_h": dilation[0],
            "dilation_w": dilation[1],
            "pad_top": node.attrs["padding"][0],
            "pad_left": node.attrs["padding"][1],
            "groups": node.attrs.get("groups", 1),
        },
    )
    return context.stripe_window(whole)


def requantization(
    context: EmitContext,
    node: Node,
    tables: tuple[np.ndarray, np.ndarray] | None,
    x: Value,
    y: Value,
) -> str:
    """The address of a `tt_requant`; without tables, of one that keeps the quantization."""
    multiplier = shift = "NULL"
    if tables is not None:
        multiplier = context.array(f"{node.name}_multiplier", tables[0].astype(np.int32))
        shift = context.array(f"{node.name}_shift", tables[1].astype(np.int8))
    return context.struct(
        "tt_requant",
        f"{node.name}_requant",
        {
            "multiplier": multiplier,
            "shift": shift,
            "input_zero": zero_of(x),
            "zero": zero_of(y),
            "lo": node.attrs["clamp"][0],
            "hi": node.attrs["clamp"][1],
        },
    )


def dtype_of(node: Node, index: int = 0) -> str:
    """Of an input, as names of kernels have it."""
    return node.inputs[index].type.dtype.value


def rescale(context: EmitContext, node: Node, shift: int, sums: str = "NULL") -> str:
    """The address of a `tt_rescale`; `sums`: where a kernel adds sums instead of rounding them."""
    source, target = node.inputs[0].type.exponent, node.output.type.exponent
    if target is None:
        return "NULL"
    slot = f"&state->scales[{context.scales[target]}]"
    return f"&(const tt_rescale){{{context.exponent(source)}, {shift}, {slot}, {sums}}}"


def factors_array(context: EmitContext, node: Node, found: Factors) -> str:
    """The array of a node's factors, integer or real."""
    is_real = node.inputs[0].type.dtype is DType.F32
    return context.array(f"{node.layer}_factors", found.real if is_real else found.integer)


def factors(context: EmitContext, node: Node, found: Factors) -> str:
    """The address of a `tt_factors`."""
    array = factors_array(context, node, found)
    is_real = node.inputs[0].type.dtype is DType.F32
    fields = {"integer": "NULL", "real": array} if is_real else {"integer": array, "real": "NULL"}
    return context.struct("tt_factors", f"{node.name}_factors", fields)
