"""The table of operations: what each means, its attributes, and the shapes and dtypes it yields.

The modules `ops_*` fill it, `operations` gives it whole, `verify` holds every node to it.

A gradient is s8, s16 or f32 (`GRADIENT`). An integer gradient's type names its exponent; nodes that
round a sum to integers introduce a new exponent, nodes that only move or mask integers keep it.
A sum (dW, dB) is s32, or f32 where gradients are f32.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tinytrain.ir.graph import Node
from tinytrain.ir.types import DType

Shape = tuple[int, ...]
Signature = tuple[tuple[Shape, tuple[DType, ...]], ...]
"""For each output: its shape, and the dtypes that it may have."""


class TypeRuleError(ValueError):
    """The inputs or attributes of a node break the rule of its operation."""


@dataclass(frozen=True)
class Op:
    """One row of the table.

    Attributes:
        name: as it stands in `Node.op`.
        summary: one line.
        attrs: attribute names, all required.
        optional: names that may be there too; without one the operation is what it was before the
            attribute came, and so are its text and its hash. No others are allowed.
        rule: from a node to the signature of its outputs; raises `TypeRuleError`.
        in_place: inputs whose storage the last output may take over: it is written element by
            element, never before the same element of that input was read.
    """

    name: str
    summary: str
    attrs: frozenset[str]
    rule: Callable[[Node], Signature]
    in_place: tuple[int, ...] = ()
    optional: frozenset[str] = frozenset()


OPS: dict[str, Op] = {}

GRADIENT = (DType.S8, DType.S16, DType.F32)
"""Dtypes of gradients."""


def register(
    name: str,
    summary: str,
    attrs: str = "",
    *,
    in_place: tuple[int, ...] = (),
    optional: str = "",
) -> Callable[[Callable[[Node], Signature]], Callable[[Node], Signature]]:
    """Decorator: enters a type rule into the table. `attrs`, `optional`: separated by spaces."""

    def enter(rule: Callable[[Node], Signature]) -> Callable[[Node], Signature]:
        if name in OPS:
            raise ValueError(f"operation {name} is registered twice")
        required = frozenset(attrs.split())
        OPS[name] = Op(name, summary, required, rule, in_place, frozenset(optional.split()))
        return rule

    return enter


def expect(condition: bool, message: str) -> None:
    """Raises `TypeRuleError` with the message unless the condition holds."""
    if not condition:
        raise TypeRuleError(message)


def same_dtype(node: Node) -> DType:
    """The one dtype that all inputs share."""
    dtypes = {value.type.dtype for value in node.inputs}
    expect(len(dtypes) == 1, f"inputs have different dtypes: {sorted(d.value for d in dtypes)}")
    return dtypes.pop()


def gradient_dtype(node: Node, index: int = 0) -> DType:
    """The dtype of an input that is a gradient."""
    dtype = node.inputs[index].type.dtype
    expect(dtype in GRADIENT, f"a gradient is s8, s16 or f32, not {dtype.value}")
    return dtype


def sum_dtypes(dtype: DType) -> tuple[DType, ...]:
    """The dtype of a sum of gradients."""
    return (DType.F32,) if dtype is DType.F32 else (DType.S32,)


def with_axis(shape: Shape, axis: int, size: int) -> Shape:
    """The shape with another size along one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def window_output(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int
) -> int:
    """Positions of a window of `kernel` taps that slides over `size` elements with padding."""
    reach = dilation * (kernel - 1) + 1
    return (size + before + after - reach) // stride + 1


def window_shape(node: Node, kernel: tuple[int, int], dilation: tuple[int, int]) -> tuple[int, int]:
    """Output height and width of a sliding window; reads the attributes strides and padding."""
    _, height, width, _ = node.inputs[0].type.shape
    top, left, bottom, right = node.attrs["padding"]
    strides = node.attrs["strides"]
    out_h = window_output(height, kernel[0], strides[0], top, bottom, dilation[0])
    out_w = window_output(width, kernel[1], strides[1], left, right, dilation[1])
    expect(out_h > 0 and out_w > 0, f"window {kernel} does not fit a map of {height}x{width}")
    expect(min(node.attrs["padding"]) >= 0, "padding is negative")
    return out_h, out_w
