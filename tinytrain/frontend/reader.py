"""What the readers of all formats share: reasons for a refusal, and the choice of an output."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from tinytrain.errors import ModelError, UsageError, Where
from tinytrain.frontend.builder import ProgramBuilder
from tinytrain.frontend.program import Call, Shape
from tinytrain.frontend.refusals import Reason, of_error, refusal

Made = TypeVar("Made")
Read = TypeVar("Read")

CONTRADICTIONS = (
    ArithmeticError, AssertionError, AttributeError, IndexError, KeyError, TypeError, ValueError,
    struct.error,
)  # fmt: skip
"""What reading a file that makes no sense may raise; anything else is a fault of ours."""


def guarded(file: str, read: Callable[[], Read], help: str) -> Read:
    """What `read` gives.

    Raises:
        ModelError: what it reads contradicts itself.
    """
    try:
        return read()
    except CONTRADICTIONS as error:
        raise ModelError("the file contradicts itself", where=Where(file), help=help) from error


class Reasons:
    """Collects what stands in the way of a model, so that an error can list all of it."""

    def __init__(self, builder: ProgramBuilder) -> None:
        self.builder = builder
        self.found: list[Reason] = []
        self.unknown: set[Call] = set()

    def attempt(
        self, read: Callable[[], Sequence[Made]], inputs: Iterable[object]
    ) -> Sequence[Made] | None:
        """What `read` gives; None where it fails, and why is remembered.

        Args:
            inputs: the tensors that it reads. Where one of them stands in for something that could
                not be read, a failure is no reason of its own.
        """
        follows = any(item in self.unknown for item in inputs if isinstance(item, Call))
        try:
            results = read()
        except ModelError as error:
            if not follows:
                self.found.append(of_error(error))
        # What Python says where attributes, shapes and constants of a file contradict each other.
        except CONTRADICTIONS:
            if not follows:
                self.found.append(
                    Reason(
                        "the attributes and the tensors of a node contradict each other",
                        self.builder.node,
                        "export the model again; it may be damaged",
                    )
                )
        else:
            if follows:
                self.unknown.update(result for result in results if isinstance(result, Call))
            return results
        return None

    def stand_in(self, shape: Shape, dtype: str = "float32") -> Call:
        """A tensor in the place of one that could not be read, so that reading can go on."""
        call = Call("unknown", [], {}, shape, dtype, self.builder.node)
        self.unknown.add(call)
        return call

    def check_inputs(self) -> None:
        """Remembers inputs of a batch that is larger than one."""
        for call in self.builder.inputs:
            if call.shape and call.shape[0] != 1:
                self.found.append(
                    Reason(
                        f"the input '{call.name}' has shape {list(call.shape)}, a batch of "
                        f"{call.shape[0]}; the model must take one sample at a time",
                        call.name,
                        without_batch(call.shape),
                    )
                )

    def check(self) -> None:
        """Raises the refusal, if anything stands in the way."""
        if self.found:
            raise refusal(self.builder.file, self.found)


def without_batch(shape: Shape) -> str:
    """The way out where a tensor's first extent, which should be a batch of 1, is another."""
    help = "export the model with a batch of 1"
    if len(shape) == 4:
        return help
    return f"{help}; where {shape[0]} is no batch, give the example one in front: example[None]"


@dataclass(frozen=True)
class Output:
    """An output that a model declares.

    Attributes:
        name: of its tensor.
        shape: as the file has it.
        operation: what computes it, in the words of the format.
    """

    name: str
    shape: Shape
    operation: str


_CLASSIFIERS = ("softmax", "logsoftmax", "log_softmax", "argmax", "arg_max", "linearclassifier")
_LAYERS = ("gemm", "matmul", "fully_connected", "linear", "addmm", "dense")


def choose_output(
    outputs: Sequence[Output], wanted: str | None, file: str | None, notes: list[str]
) -> int:
    """Which output is compiled: the one that was asked for, else the one of a classifier.

    Raises:
        UsageError: there is no such output.
    """
    names = [output.name for output in outputs]
    if wanted is not None:
        if wanted not in names:
            raise UsageError(
                f"the model has no output '{wanted}'",
                help=f"--model-output takes {', '.join(names)}",
            )
        return names.index(wanted)
    if len(outputs) == 1:
        return 0

    def rank(place: int) -> tuple[bool, bool, bool]:
        kind, shape = outputs[place].operation.lower(), outputs[place].shape
        return (kind not in _CLASSIFIERS, kind not in _LAYERS, len(shape) != 2)

    chosen = min(range(len(outputs)), key=rank)
    notes.append(
        f"of the model's outputs {', '.join(names)} the one named '{names[chosen]}' is compiled; "
        "--model-output chooses another"
    )
    return chosen
