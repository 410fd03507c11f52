"""An imported model before it is ours: operations in the words of `vocabulary`, in plain Python.

Each reader (`onnx`, `tflite`, `pytorch`) writes one of these; `lower` makes a graph of it. Shapes
and layouts are those of the user's file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where

Shape = tuple[int, ...]

MAX_ELEMENTS = 2**26
"""Elements of one tensor: far beyond any microcontroller, and safe for the host."""


@dataclass(frozen=True, eq=False)
class Const:
    """A constant: plain data, or integers with the affine map that gives them meaning.

    `scale` and `zero_point` have the shape of `data` (usually as broadcast views), so that they
    follow it through every reshape and transposition: real = scale * (data - zero_point).
    `source` names the tensor of the user's file that it comes from; constants of one source are one
    parameter where they train.
    """

    data: np.ndarray
    scale: np.ndarray | None = None
    zero_point: np.ndarray | None = None
    source: str | None = None

    @property
    def shape(self) -> Shape:
        """Extents."""
        return tuple(self.data.shape)

    def real(self) -> np.ndarray:
        """The numbers that it stands for, float64 when quantized."""
        if self.scale is None or self.zero_point is None:
            return self.data
        real: np.ndarray = (self.data.astype(np.float64) - self.zero_point) * self.scale
        return real


@dataclass(eq=False)
class Call:
    """One operation of the imported model.

    Attributes:
        op: a row of `vocabulary.VOCABULARY`.
        args: what it reads, in the order of its row.
        attrs: plain Python values, by the names of its row.
        shape: extents of its result, as the user's file has them.
        dtype: of its result: float32, int8, uint8, int16 or int32.
        name: the node of the user's file that it comes from, for errors.
        tensor: the tensor of the user's file that it computes, where it is one: what the proof of
            the import compares.
    """

    op: str
    args: list[Call | Const]
    attrs: dict[str, Any]
    shape: Shape
    dtype: str = "float32"
    name: str | None = None
    tensor: str | None = None

    def source(self, number: int = 0) -> Call:
        """An argument that must not be constant.

        Raises:
            ModelError: it is.
        """
        found = self.args[number]
        if not isinstance(found, Call):
            raise ModelError(
                f"'{self.op}' works on a constant where it should work on what the input gives",
                where=Where(node=self.name),
                help="fold constants when exporting the model",
            )
        return found


@dataclass
class Program:
    """A model as a list of calls in execution order.

    Attributes:
        inputs: calls with op "input".
        output: the call whose result is the model's.
        file: name of the user's file, for errors.
        notes: sentences about what had to change.
        channels_last: whether the format has the channels of a map last, where nothing else tells.
        unrounded: for tensors of the file that it rounds to integers and the calls do not, how far
            that takes them apart at most.
        other_rounding: whether the file rounds activations otherwise, so that tensors differ by
            more than the last digits.
    """

    inputs: list[Call]
    calls: list[Call]
    output: Call
    file: str | None = None
    notes: list[str] = field(default_factory=list)
    channels_last: bool = False
    unrounded: Mapping[str, float] = field(default_factory=dict)
    other_rounding: bool = False

    def users(self) -> dict[Call, list[Call]]:
        """The calls that read each call; the output has one more reader than listed."""
        users: dict[Call, list[Call]] = {}
        for call in self.calls:
            for arg in call.args:
                if isinstance(arg, Call):
                    users.setdefault(arg, []).append(call)
        return users

    def where(self, call: Call) -> Where:
        """The place of a call in the user's file."""
        return Where(self.file, call.name)

    def live(self) -> Program:
        """The same program without calls that the output does not need."""
        needed: set[Call] = {self.output}
        for call in reversed(self.calls):
            if call in needed:
                needed.update(arg for arg in call.args if isinstance(arg, Call))
        calls = [call for call in self.calls if call in needed]
        return replace(self, calls=calls)
