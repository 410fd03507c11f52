"""Weights that several layers of the user's model share stay one constant: one parameter."""

from __future__ import annotations

from collections.abc import Callable

from tinytrain.errors import Where
from tinytrain.frontend.program import Const
from tinytrain.ir.graph import Value

_Key = tuple[object, ...]


def _numbers(const: Const) -> _Key:
    """Equal for constants that hold the same numbers in the same shape."""
    parts = (const.data, const.scale, const.zero_point)
    return (const.shape, *(None if part is None else part.tobytes() for part in parts))


class SharedConstants:
    """The values of constants that were seen before.

    Constants are one where they come from one tensor of the user's file and hold the same numbers:
    a tensor that one layer reads transposed, or with a batch normalisation of its own folded in,
    is a copy there, which a note says.

    Args:
        notes: sentences about what had to change; grows.
    """

    def __init__(self, notes: list[str]) -> None:
        self._notes = notes
        self._known: dict[_Key, Value] = {}
        self._sources: dict[str, tuple[_Key, Where]] = {}
        self._biases: dict[tuple[Value, str | None, _Key], Value] = {}

    def get(self, weights: Const, where: Where, make: Callable[[], Value]) -> Value:
        """The value of weights: a new one, or that of a layer that shares them."""
        if weights.source is None:
            return make()
        key = weights.source, *_numbers(weights)
        if key not in self._known:
            self._known[key] = make()
            first, place = self._sources.setdefault(weights.source, (key, where))
            if first != key:
                self._notes.append(
                    f"'{weights.source}' is used in two forms, in '{place.node}' and in "
                    f"'{where.node}' (transposed, or with another normalisation folded in): where "
                    "both train, each trains a copy of its own"
                )
        return self._known[key]

    def bias(self, weights: Value, bias: Const, make: Callable[[], Value]) -> Value:
        """The value of a bias: that of a layer that shares it together with its weights."""
        key = weights, bias.source, _numbers(bias)
        if key not in self._biases:
            self._biases[key] = make()
        return self._biases[key]
