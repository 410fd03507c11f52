"""The table of operations: what each means, its attributes, and the shapes and dtypes it yields.

The modules `ops_*` fill it, `operations` gives it whole, `verify` holds every node to it.

A gradient is s8, s16 or f32 (`GRADIENT`). An integer gradient's type names its exponent; nodes that
round a sum to integers introduce a new exponent, nodes that only move or mask integers keep it.
A sum (dW, dB) is s32, or f32 where gradients are f32.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass

from tinytrain.ir.graph import Node, Value
from tinytrain.ir.types import DType

Shape = tuple[int, ...]
Signature = tuple[tuple[Shape, tuple[DType, ...]], ...]
"""For each output: its shape, and the dtypes that it may have."""


class TypeRuleError(ValueError):
    """The inputs or attributes of a node break the rule of its operation."""


class Role(enum.Enum):
    """What an operation is there for."""

    FORWARD = "forward"
    """A model consists of them."""
    VIEW = "view"
    """Shows a layer weights that lie in two parts; no code runs."""
    TRAINING = "training"
    """Stands between forward nodes for the backward pass; inference leaves it out."""
    LOSS = "loss"
    """Gives the loss and its gradient."""
    GRADIENT = "gradient"
    """Takes a gradient on toward the parameters."""
    UPDATE = "update"
    """Applies a gradient to a trained tensor or to its velocity."""
    APPLY = "apply"
    """Applies velocities: runs in the last step of an accumulation window only."""


class Integers(enum.Enum):
    """What becomes of a float operation in an s8 graph."""

    NONE = "none"
    """There is no such operation on integers."""
    SAME = "same"
    """It works on integers as on real numbers and keeps the quantization of its input."""
    RESCALED = "rescaled"
    """Its output has a quantization of its own."""


@dataclass(frozen=True)
class Terms:
    """What one output of an operation sums, and how many of them its kernels can hold.

    Attributes:
        what: they are, for a message.
        count: how many there are at most in one sum of a node.
        most: the bound, or by the dtype of the gradient, which is the last input but parameters.
    """

    what: str
    count: Callable[[Node], int]
    most: Callable[[Node], int]


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the compiler asks of an operation beside its types.

    Attributes:
        role: what it is there for.
        kind: what its layers are called, such as `conv` in `conv_0`; its own name where empty.
        trained_as: the operation that takes its place where gradients pass; itself where empty.
        has_weights: its inputs are a map, weights and a bias; all inputs are maps where it has not.
        window: (height, width) of the part of the map that one output sees; None where it sees no
            window.
        by_rows: a row of the output depends on the rows in its window, or on the same row of each
            map where there is no window, and on nothing else.
        by_channels: a channel of the output depends on the same channel of the inputs alone.
        integers: what it becomes in an s8 graph.
        moves: puts elements elsewhere and changes none.
        within_range: no result is larger or smaller than everything that it reads.
        largest_factor: the largest real factor that its s8 kernel multiplies with.
        terms: what it sums, where kernels hold so many only.
        in_place: inputs whose storage the last output may take over: it is written element by
            element, never before the same element of that input was read.
        same_bytes: the output is the first input under another shape.
        overwrites: its outputs take the storage of its last inputs, one for one.
        contract: the C function that computes it, `{}` for the type of its first input; empty
            where nothing is called, or where the node decides.
        saves: which inputs are forward results that have to wait for it in the backward pass.
        rounds: rounds a gradient to integers with an exponent of their own.
    """

    role: Role = Role.FORWARD
    kind: str = ""
    trained_as: str = ""
    has_weights: bool = False
    window: Callable[[Node], tuple[int, int]] | None = None
    by_rows: bool = False
    by_channels: bool = False
    integers: Integers = Integers.NONE
    moves: bool = False
    within_range: bool = False
    largest_factor: Callable[[Node], float] | None = None
    terms: Terms | None = None
    in_place: tuple[int, ...] = ()
    same_bytes: bool = False
    overwrites: bool = False
    contract: str = ""
    saves: tuple[int, ...] = ()
    rounds: bool = False


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
        traits: what else is to be known of it.
    """

    name: str
    summary: str
    attrs: frozenset[str]
    rule: Callable[[Node], Signature]
    traits: Traits
    optional: frozenset[str] = frozenset()


OPS: dict[str, Op] = {}

_PLAIN = Traits()

GRADIENT = (DType.S8, DType.S16, DType.F32)
"""Dtypes of gradients."""


def register(
    name: str, summary: str, attrs: str = "", traits: Traits = _PLAIN, *, optional: str = ""
) -> Callable[[Callable[[Node], Signature]], Callable[[Node], Signature]]:
    """Decorator: enters a type rule into the table. `attrs`, `optional`: separated by spaces."""

    def enter(rule: Callable[[Node], Signature]) -> Callable[[Node], Signature]:
        if name in OPS:
            raise ValueError(f"operation {name} is registered twice")
        required = frozenset(attrs.split())
        OPS[name] = Op(name, summary, required, rule, traits, frozenset(optional.split()))
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


def scale_or_one(value: Value) -> float:
    """The scale of a quantized value, 1 of any other."""
    return value.type.quantization.scale[0] if value.type.quantization else 1.0


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
