"""What is computed of two tensors, element by element."""

from __future__ import annotations

import math
from collections.abc import Callable

from tinytrain.errors import ModelError
from tinytrain.frontend.lower.graph import GraphImporter
from tinytrain.frontend.lower.layout import Axes, Tensor, axes_of, identity, same_description
from tinytrain.frontend.program import Call
from tinytrain.ir.graph import Value

_CLAMP = (-128, 127)


def together(importer: GraphImporter, call: Call, tensors: list[Tensor]) -> list[Tensor]:
    """The tensors with the elements of all in the order of the first."""
    if same_description(tensors):
        return tensors
    where = importer.program.where(call)
    rank = len(call.shape)
    tensors = [Tensor(t.value, ((),) * (rank - len(t.view)) + t.view) for t in tensors]
    groups = axes_of(tensors[0])
    if groups is None:
        groups = [(axis,) for axis in range(rank)]
        tensors[0] = identity(importer.layouts.plain(tensors[0], where))
    axes: list[Axes] = [()] * rank
    for place, group in enumerate(groups):
        for axis in group:
            axes[axis] = (place,)
    # Axes of extent 1 in the first tensor may be wider in another: give each an axis of its own.
    if any(
        not axes[axis] and tensor.shape[axis] != 1 for tensor in tensors for axis in range(rank)
    ):
        groups = [(axis,) for axis in range(rank)]
        axes = [(axis,) for axis in range(rank)]
    return [
        Tensor(importer.layouts.arranged(tensor, groups, where), tuple(axes)) for tensor in tensors
    ]


def _of_one_shape(what: str) -> Callable[[GraphImporter, Call], Tensor]:
    """The rule of a call whose node has its name and reads two tensors of one shape."""

    def rule(importer: GraphImporter, call: Call) -> Tensor:
        a, b = together(importer, call, [importer.tensor(call), importer.tensor(call, 1)])
        shape = a.value.type.shape
        if shape != b.value.type.shape:
            raise ModelError(
                f"{what} of {a.shape} and {b.shape}: both must have the same shape",
                where=importer.program.where(call),
                help="expand the smaller one in the model",
            )
        return a.on(importer.add(call, call.op, [a.value, b.value], shape, clamp=_CLAMP))

    return rule


def _multiply(importer: GraphImporter, call: Call) -> Tensor:
    first, second = importer.tensor(call), importer.tensor(call, 1)
    if math.prod(first.shape) < math.prod(second.shape):
        first, second = second, first
    a, b = together(importer, call, [first, second])
    shape, other = a.value.type.shape, b.value.type.shape
    same = shape == other or b.value.type.size == 1
    if not same and not (other[-1] == shape[-1] and b.value.type.size == shape[-1]):
        raise ModelError(
            f"a multiplication of {a.shape} by {b.shape} is not supported",
            where=importer.program.where(call),
            help="multiply tensors of one shape, or a map by one number for each channel",
        )
    return a.on(importer.add(call, "multiply", [a.value, b.value], shape, clamp=_CLAMP))


def _maximum(importer: GraphImporter, call: Call) -> Tensor:
    """Both one above the other, and a window of two."""
    a, b = together(importer, call, [importer.tensor(call), importer.tensor(call, 1)])
    return a.on(_larger(importer, call, a.value, b.value))


def _minimum(importer: GraphImporter, call: Call) -> Tensor:
    """The maximum of both with the other sign, with the other sign."""
    a, b = together(importer, call, [importer.tensor(call), importer.tensor(call, 1)])
    larger = _larger(importer, call, *(_negative(importer, call, t.value) for t in (a, b)))
    return a.on(_negative(importer, call, larger))


def _negative(importer: GraphImporter, call: Call, value: Value) -> Value:
    shape = value.type.shape
    return importer.add(call, "activation", [value], shape, function="linear", alpha=-1.0, beta=0.0)


def _larger(importer: GraphImporter, call: Call, a: Value, b: Value) -> Value:
    shape, where = a.type.shape, importer.program.where(call)
    if shape != b.type.shape:
        raise ModelError(
            f"a {call.op} of {list(shape)} and {list(b.type.shape)}: both must have the same shape",
            where=where,
            help="expand the smaller one in the model",
        )
    channels = shape[-1]
    flat = (1, 1, math.prod(shape) // channels, channels)
    rows = [importer.layouts.reshaped(value, flat, where) for value in (a, b)]
    both = importer.add(call, "concatenate", rows, (1, 2, *flat[2:]), axis=1)
    larger = importer.add(
        call, "max_pool2d", [both], flat, window=(2, 1), strides=(2, 1), padding=(0, 0, 0, 0),
        clamp=_CLAMP,
    )  # fmt: skip
    return importer.layouts.reshaped(larger, shape, where)


def _divide(importer: GraphImporter, call: Call) -> Tensor:
    raise ModelError(
        "a division of two activations is not supported",
        where=importer.program.where(call),
        help="multiply by the reciprocal of a constant, or normalise with batch normalisation",
    )


PAIRS: dict[str, Callable[[GraphImporter, Call], Tensor]] = {
    "add": _of_one_shape("an addition"),
    "subtract": _of_one_shape("a difference"),
    "multiply": _multiply,
    "divide": _divide,
    "maximum": _maximum,
    "minimum": _minimum,
}
