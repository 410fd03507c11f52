"""What a function that reads one ONNX node is given: its tensors and attributes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.program import Const


@dataclass(frozen=True)
class OnnxOperands:
    """The operands of one node.

    Attributes:
        kind: the operation.
        inputs: None for one that is left out.
        attributes: by name, those at their defaults included.
        outputs: how many outputs something reads, counted to the last of them.
        seen: the numbers of the inputs that were looked at.
    """

    builder: ProgramBuilder
    kind: str
    inputs: Sequence[Tensor | None]
    attributes: Mapping[str, Any]
    outputs: int
    seen: set[int] = field(default_factory=set)

    def has(self, number: int) -> bool:
        """Whether the node has this input."""
        return number < len(self.inputs) and self.inputs[number] is not None

    def x(self, number: int = 0) -> Tensor:
        """An input."""
        found = self.inputs[number]
        assert found is not None
        self.seen.add(number)
        return found

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute."""
        value = self.attributes.get(name)
        return default if value is None else value

    def constant(self, number: int) -> np.ndarray:
        """An input that is known before the model runs.

        Raises:
            ModelError: it is computed.
        """
        found = self.x(number)
        if not isinstance(found, Const):
            raise self.builder.error(
                f"an input of '{self.kind}' that says where or how much is computed while the "
                "model runs",
                "export the model with constant shapes",
            )
        return np.asarray(found.real())

    def numbers(self, number: int, attribute: str | None = None) -> list[int] | None:
        """Integers from an input, or from an attribute as in older versions; None if neither."""
        if self.has(number):
            return [int(value) for value in self.constant(number).reshape(-1)]
        found = self.get(attribute) if attribute else None
        return None if found is None else [int(value) for value in found]


Read = Callable[[OnnxOperands], Sequence[Tensor]]


@dataclass(frozen=True)
class OnnxRow:
    """How one operation is read.

    Attributes:
        read: gives the node's outputs.
        honoured: attributes that it takes into account.
        harmless: attributes that change nothing of what is computed here.
    """

    read: Read
    honoured: frozenset[str] = frozenset()
    harmless: frozenset[str] = frozenset()


def row(read: Read, honoured: str = "", harmless: str = "") -> OnnxRow:
    """A row with the names of attributes in one string each."""
    return OnnxRow(read, frozenset(honoured.split()), frozenset(harmless.split()))


def axis_of(operands: OnnxOperands, rank: int, name: str = "axis", default: int = 0) -> int:
    """An axis, counted from the front."""
    return int(operands.get(name, default)) % rank
