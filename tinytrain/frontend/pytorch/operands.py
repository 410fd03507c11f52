"""What a function that reads one ATen call is given: its arguments by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.program import Call, Const


@dataclass(frozen=True, eq=False)
class Length:
    """The Euclidean length of a tensor along one axis, on its way into a division.

    `torch.nn.functional.normalize` is exported as a norm, a lower bound and a division.
    """

    x: Tensor
    axis: int
    epsilon: float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the length itself, its axis kept."""
        return tuple(1 if k == self.axis else n for k, n in enumerate(self.x.shape))


Found = Tensor | Length


@dataclass(frozen=True)
class AtenOperands:
    """The arguments of one call.

    Attributes:
        kind: the operation, such as `conv2d`.
        overload: which of its forms, such as `padding`.
        values: by name, as the schema of the operation has them, defaults included; tensors are
            those that were read.
    """

    builder: ProgramBuilder
    kind: str
    overload: str
    values: Mapping[str, Any]

    def get(self, name: str, default: Any = None) -> Any:
        """An argument, or the default where it is left out or None."""
        found = self.values.get(name)
        return default if found is None else found

    def has(self, name: str) -> bool:
        """Whether an argument is given and not None."""
        return self.values.get(name) is not None

    def x(self, name: str = "self") -> Tensor:
        """A tensor, which must be one."""
        found = self.values[name]
        if isinstance(found, Call | Const):
            return found
        if isinstance(found, bool | int | float):
            return Const(np.asarray(found, dtype=np.float32))
        raise self.builder.error(
            f"'{self.kind}' reads something that is no tensor of the model",
            "normalise with torch.nn.functional.normalize alone",
        )

    def constant(self, name: str) -> np.ndarray:
        """A tensor that is known before the model runs.

        Raises:
            ModelError: it is computed.
        """
        found = self.x(name)
        if not isinstance(found, Const):
            raise self.builder.error(
                f"the argument '{name}' of '{self.kind}' is computed while the model runs",
                "export the model with its weights as constants",
            )
        return np.asarray(found.real())

    def axis(self, rank: int, name: str = "dim", default: int = 0) -> int:
        """An axis, counted from the front."""
        return int(self.get(name, default)) % max(rank, 1)


Read = Callable[[AtenOperands], Sequence[Found]]


@dataclass(frozen=True)
class AtenRow:
    """How one operation is read.

    Attributes:
        read: gives the results.
        honoured: arguments that it takes into account.
        harmless: arguments that change nothing of what is computed here.
    """

    read: Read
    honoured: frozenset[str] = frozenset()
    harmless: frozenset[str] = frozenset()


def row(read: Read, honoured: str = "self", harmless: str = "") -> AtenRow:
    """A row with the names of arguments in one string each."""
    return AtenRow(read, frozenset(honoured.split()), frozenset(harmless.split()))
