"""Layers of torch.nn that cannot be compiled, by their own name: PyTorch exports what is inside."""

from __future__ import annotations

import re
from collections.abc import Iterable

from tinytrain.frontend.refusals import Reason, help_for, unsupported


class RefusedLayers:
    """Collects operations that nothing here can read, by the layer that they stand in."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str | None], list[str]] = {}

    def add(self, operation: str, place: str, layer: str | None) -> None:
        """Remembers an operation.

        Args:
            operation: such as `aten.gru.input`.
            place: path of the innermost module.
            layer: its class, where that is one of torch.nn.
        """
        self._found.setdefault((place, layer), []).append(operation)

    def merged(self, reasons: Iterable[Reason]) -> list[Reason]:
        """All reasons: of a layer one, whatever else was found inside of it."""
        layers = {place for place, layer in self._found if layer is not None}
        others = [reason for reason in reasons if reason.node not in layers]
        return [*others, *self._reasons()]

    def _reasons(self) -> Iterable[Reason]:
        for (place, layer), operations in self._found.items():
            named = [name for name in operations if layer and _plain(layer) in _plain(name)]
            if layer is not None and not named:
                what = f"layer '{layer}' is not supported (its operation '{operations[0]}' is not)"
                yield Reason(what, place, help_for(layer))
                continue
            for name in named or operations:
                yield unsupported(name, place)


def _plain(name: str) -> str:
    """Letters alone: the class names dimensions that the operation may leave out."""
    return re.sub(r"[^a-z]|(?<=[a-z])[123]d", "", name.lower())
