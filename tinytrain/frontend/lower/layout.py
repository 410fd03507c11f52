"""Keeps track of how an imported tensor lies in memory, so that layouts cost nothing until needed.

ONNX and PyTorch maps are [N,C,H,W], ours [N,H,W,C]. Instead of a transposition at each border, an
imported tensor is a value of ours and, for each of its axes, the axes of that value that make it
up, in order. Transposing, squeezing and flattening change only this description; a layer that
wants elements in a certain order asks for it, and gets nodes only where the order really differs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from tinytrain.errors import Where
from tinytrain.frontend.graph_writer import GraphWriter
from tinytrain.ir.graph import Value
from tinytrain.ir.types import TensorType

Axes = tuple[int, ...]


@dataclass(frozen=True)
class Tensor:
    """An imported tensor: `view[k]` are the axes of `value` that axis k runs over, slowest first.

    Axes of `value` that stand nowhere in `view` have extent 1; an empty entry is an axis of
    extent 1.
    """

    value: Value
    view: tuple[Axes, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents as the user's model has them."""
        extents = self.value.type.shape
        return tuple(math.prod(extents[axis] for axis in axes) for axes in self.view)

    def permuted(self, axes: Axes) -> Tensor:
        """Axis k of the result is axis axes[k] of this one."""
        return Tensor(self.value, tuple(self.view[axis] for axis in axes))

    def on(self, value: Value) -> Tensor:
        """The same description of another value of the same shape."""
        return Tensor(value, self.view)


class Layouts:
    """Turns tensors into values with a wanted order of elements, transposing each only once."""

    def __init__(self, builder: GraphWriter) -> None:
        self.builder = builder
        self._made: dict[tuple[Value, Axes, tuple[int, ...]], Value] = {}

    def arranged(self, tensor: Tensor, groups: list[Axes], where: Where | None) -> Value:
        """A value with one axis for each group, which runs over the tensor's axes in the group.

        An empty group is an axis of extent 1.
        """
        value = tensor.value
        wanted = [tuple(i for axis in group for i in tensor.view[axis]) for group in groups]
        extents = value.type.shape
        shape = tuple(math.prod(extents[axis] for axis in axes) for axes in wanted)
        order = tuple(axis for axes in wanted for axis in axes if extents[axis] != 1)
        if list(order) != sorted(order):
            units = tuple(axis for axis, extent in enumerate(extents) if extent == 1)
            value = self._transposed(value, units + order, where)
        return self.reshaped(value, shape, where)

    def _transposed(self, value: Value, axes: Axes, where: Where | None) -> Value:
        shape = tuple(value.type.shape[axis] for axis in axes)
        key = (value, axes, shape)
        if key not in self._made:
            type_ = TensorType(shape, value.type.dtype, value.type.quantization)
            self._made[key] = self.builder.node(
                "transpose", [value], type_, {"axes": axes}, where=where
            )
        return self._made[key]

    def reshaped(self, value: Value, shape: tuple[int, ...], where: Where | None) -> Value:
        """The value under another shape; itself when it has that shape."""
        if value.type.shape == shape:
            return value
        key = (value, (), shape)
        if key not in self._made:
            type_ = TensorType(shape, value.type.dtype, value.type.quantization)
            self._made[key] = self.builder.node("reshape", [value], type_, where=where)
        return self._made[key]

    def plain(self, tensor: Tensor, where: Where | None) -> Value:
        """A value whose axes are the tensor's, in the user's order."""
        return self.arranged(tensor, [(axis,) for axis in range(len(tensor.view))], where)

    def viewed(self, tensor: Tensor, shape: tuple[int, ...], where: Where | None) -> Tensor:
        """The tensor under another shape, in the user's order of elements.

        Axes that are joined are described as joined. An axis that is split is split in the value,
        which moves nothing. Anything else (joined and cut again elsewhere) is put in order first.
        """
        pieces = _correspondence(tensor.shape, shape)
        value, view = tensor.value, list(tensor.view)
        result: list[Axes] = [()] * len(shape)
        for old, new in pieces:
            news = [axis for axis in new if shape[axis] != 1]
            joined = tuple(i for axis in old for i in view[axis] if value.type.shape[i] != 1)
            if len(news) <= 1:
                for axis in news:
                    result[axis] = joined
                continue
            if len(joined) != 1:
                return identity(self.reshaped(self.plain(tensor, where), shape, where))
            (place,) = joined
            extents = value.type.shape
            split = tuple(shape[axis] for axis in news)
            value = self.reshaped(value, extents[:place] + split + extents[place + 1 :], where)
            shift = len(split) - 1
            view = [tuple(i + shift if i > place else i for i in axes) for axes in view]
            result = [tuple(i + shift if i > place else i for i in axes) for axes in result]
            for number, axis in enumerate(news):
                result[axis] = (place + number,)
        return Tensor(value, tuple(result))


def _correspondence(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[Axes, Axes]]:
    """Cuts two shapes of one size into the shortest runs of axes with equal products."""
    runs: list[tuple[Axes, Axes]] = []
    i = j = 0
    while i < len(old) or j < len(new):
        a, b = [i] if i < len(old) else [], [j] if j < len(new) else []
        i, j = i + len(a), j + len(b)
        left = math.prod(old[k] for k in a)
        right = math.prod(new[k] for k in b)
        while left != right:
            if left < right:
                left *= old[i]
                a.append(i)
                i += 1
            else:
                right *= new[j]
                b.append(j)
                j += 1
        runs.append((tuple(a), tuple(b)))
    return runs


def same_description(tensors: list[Tensor]) -> bool:
    """True when the elements of all lie in the same order."""
    first = tensors[0]
    return all(
        tensor.view == first.view and tensor.value.type.shape == first.value.type.shape
        for tensor in tensors[1:]
    )


def axes_of(tensor: Tensor) -> list[Axes] | None:
    """For each axis of the value, the user's axis that it is; None when axes are joined."""
    if any(len(axes) > 1 for axes in tensor.view):
        return None
    owner = {axes[0]: (number,) for number, axes in enumerate(tensor.view) if axes}
    rank = len(tensor.value.type.shape)
    return [owner.get(axis, ()) for axis in range(rank)]


def identity(value: Value) -> Tensor:
    """A tensor whose axes are those of the value."""
    return Tensor(value, tuple((axis,) for axis in range(len(value.type.shape))))
