"""Slices, padding and repetition: each axis that they change becomes a node of its own."""

from __future__ import annotations

from collections.abc import Callable

from tinytrain.frontend.lower.graph import GraphImporter
from tinytrain.frontend.lower.layout import Tensor, identity
from tinytrain.frontend.program import Call


def _apart(importer: GraphImporter, call: Call) -> Tensor:
    """The argument with an axis of the value for each of the user's axes."""
    tensor = importer.tensor(call)
    if all(len(axes) == 1 for axes in tensor.view):
        return tensor
    return identity(importer.layouts.plain(tensor, importer.program.where(call)))


def _along(tensor: Tensor, axis: int, extent: int) -> tuple[int, tuple[int, ...]]:
    """The axis of the value that is the user's axis, and the value's shape with another extent."""
    (place,) = tensor.view[axis]
    shape = tensor.value.type.shape
    return place, (*shape[:place], extent, *shape[place + 1 :])


def _slice(importer: GraphImporter, call: Call) -> Tensor:
    attrs, tensor = call.attrs, _apart(importer, call)
    parts = zip(attrs["starts"], attrs["stops"], attrs["steps"], strict=True)
    for axis, (start, stop, step) in enumerate(parts):
        indices = range(tensor.shape[axis])[start:stop:step]
        if len(indices) == tensor.shape[axis]:
            continue
        place, shape = _along(tensor, axis, len(indices))
        optional = {"step": step} if step > 1 else {}
        value = importer.add(
            call, "slice", [tensor.value], shape, axis=place, start=indices[0], size=len(indices),
            **optional,
        )  # fmt: skip
        tensor = tensor.on(value)
    return tensor


def _pad(importer: GraphImporter, call: Call) -> Tensor:
    tensor = _apart(importer, call)
    for axis, (before, after) in enumerate(call.attrs["widths"]):
        if before or after:
            extent = before + tensor.shape[axis] + after
            place, shape = _along(tensor, axis, extent)
            value = importer.add(
                call, "pad", [tensor.value], shape, axis=place, start=before, extent=extent, fill=0
            )
            tensor = tensor.on(value)
    return tensor


def _repeat(importer: GraphImporter, call: Call) -> Tensor:
    """Copies along a new axis behind the one that is repeated, joined with it."""
    tensor, where = _apart(importer, call), importer.program.where(call)
    for axis, factor in enumerate(call.attrs["factors"]):
        if factor == 1:
            continue
        place, shape = _along(tensor, axis, tensor.shape[axis] * factor)
        before = tensor.value.type.shape
        wide = (*before[: place + 1], 1, *before[place + 1 :])
        value = importer.layouts.reshaped(tensor.value, wide, where)
        copied = (*wide[: place + 1], factor, *wide[place + 2 :])
        value = importer.add(call, "concatenate", [value] * factor, copied, axis=place + 1)
        tensor = tensor.on(importer.layouts.reshaped(value, shape, where))
    return tensor


MOVES: dict[str, Callable[[GraphImporter, Call], Tensor]] = {
    "slice": _slice,
    "pad": _pad,
    "repeat": _repeat,
}
