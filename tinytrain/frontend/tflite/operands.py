"""What a function that reads one operator is given: its tensors and options."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from tinytrain.frontend.builder import ProgramBuilder, Tensor
from tinytrain.frontend.program import Const
from tinytrain.frontend.tflite.batched import Batched
from tinytrain.frontend.tflite.model import FileTensor, Operator, TfliteModel


class Tensors(Protocol):
    """Where tensors that were read are found, by their index in the file."""

    def real(self, index: int) -> Tensor: ...

    def held(self, index: int) -> Tensor | Batched: ...


@dataclass(frozen=True)
class TfliteOperands:
    """The operands of one operator."""

    builder: ProgramBuilder
    operator: Operator
    model: TfliteModel
    tensors: Tensors

    def option(self, name: str) -> Any:
        """The value of an option."""
        return self.operator.options[name]

    def has(self, number: int) -> bool:
        """Whether the operator has this input."""
        return number < len(self.operator.inputs) and self.operator.inputs[number] >= 0

    def x(self, number: int = 0) -> Tensor:
        """An input, as reals."""
        return self.tensors.real(self.operator.inputs[number])

    def held(self, number: int = 0) -> Tensor | Batched:
        """An input as reals, or a tensor in batches."""
        return self.tensors.held(self.operator.inputs[number])

    def file_tensor(self, number: int = 0) -> FileTensor:
        """What the file says of an input."""
        return self.model.tensors[self.operator.inputs[number]]

    def result_shape(self, number: int = 0) -> tuple[int, ...]:
        """The shape that the file declares for an output."""
        return self.model.tensors[self.operator.outputs[number]].shape

    def numbers(self, number: int) -> list[int]:
        """An input of integers that are known before the model runs.

        Raises:
            ModelError: they are computed.
        """
        found = self.x(number)
        if not isinstance(found, Const):
            raise self.builder.error(
                f"an input of '{self.operator.kind}' that says where or how much is computed while "
                "the model runs",
                "convert the model with fixed shapes",
            )
        return [int(value) for value in np.asarray(found.data).reshape(-1)]

    def weights(self, number: int) -> Tensor:
        """An input with weights: their integers where activations are integers, too, else reals.

        Weights that are integers beside float activations (dynamic-range quantization) are read as
        the floats that they stand for, and quantized like those of any float model.
        """
        found = self.x(number)
        if isinstance(found, Const) and found.scale is not None and not self.is_integer:
            self.builder.unrounded.other_rounding = True
            return Const(found.real().astype(np.float32), source=found.source)
        return found

    @property
    def is_integer(self) -> bool:
        """Whether the operator computes on integers."""
        return self.file_tensor().is_quantized


Read = Callable[[TfliteOperands], Sequence[Tensor | Batched]]


@dataclass(frozen=True)
class TfliteRow:
    """How one operator is read.

    Attributes:
        read: gives the operator's outputs.
        honoured: options that it takes into account.
        harmless: options that change nothing of what is computed here.
    """

    read: Read
    honoured: frozenset[str] = frozenset()
    harmless: frozenset[str] = frozenset()


def row(read: Read, honoured: str = "", harmless: str = "") -> TfliteRow:
    """A row with the names of options in one string each."""
    return TfliteRow(read, frozenset(honoured.split()), frozenset(harmless.split()))


ACTIVATIONS: dict[int, tuple[str, float, float] | None] = {
    0: None,
    1: ("relu", 0.0, 0.0),
    2: ("clip", -1.0, 1.0),
    3: ("relu6", 0.0, 0.0),
    4: ("tanh", 0.0, 0.0),
}
"""Fused activations by their number in the schema, as functions of `ir.unary`."""


def activated(operands: TfliteOperands, x: Tensor) -> Tensor:
    """x behind the operator's fused activation."""
    number = operands.option("FusedActivationFunction")
    if number not in ACTIVATIONS:
        raise operands.builder.error(
            f"the fused activation {number} is not supported", "use relu, relu6 or tanh"
        )
    function = ACTIVATIONS[number]
    return x if function is None else operands.builder.unary(x, *function)
