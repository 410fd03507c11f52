"""The guard of a model: its fields in the state, and what it measures there."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.emit.context import EmitContext
from tinytrain.emit.replay import StateField
from tinytrain.ir.graph import Graph
from tinytrain.ir.trained import TrainedTensor, trained_tensors
from tinytrain.ir.types import DType
from tinytrain.manifest.guard import GuardRecord
from tinytrain.reference.guard import FEWEST_ELEMENTS, most_ends
from tinytrain.saved_file import layout

_HEADER = "tt_guard.h"


@dataclass(frozen=True)
class GuardPart:
    """What undoes learning that makes a model worse.

    Attributes:
        interval: steps from one check to the next.
        classes: 0 where the target of a sample is no label.
    """

    interval: int
    classes: int

    @classmethod
    def of(cls, interval: int, classes: int) -> GuardPart | None:
        """None for 0 steps."""
        return cls(interval, classes) if interval else None

    def fields(self) -> tuple[StateField, ...]:
        """What the state holds of it, in order; zeros are the factory state."""
        found = [StateField("guard", "tt_guard", 1, layout("tt_guard", _HEADER).nbytes)]
        if self.classes:
            nbytes = self.classes * layout("tt_guard_class", _HEADER).nbytes
            found.append(StateField("guard_classes", "tt_guard_class", self.classes, nbytes))
        return tuple(found)

    @property
    def ram_bytes(self) -> int:
        """What it adds to the state, and to a saved file."""
        return sum(field.nbytes for field in self.fields())

    def record(self) -> GuardRecord:
        """What the manifest says of it."""
        return GuardRecord(interval=self.interval, ram=self.ram_bytes)


def guard_text(context: EmitContext, graph: Graph, guard: GuardPart | None) -> dict[str, object]:
    """What the template names of it.

    Args:
        graph: with the parameters as compiled.
    """
    if guard is None:
        return {"guard": None}
    tensors = trained_tensors(graph)
    return {
        "guard": guard,
        "guard_weights": [
            (tensor.parameter.type.size, context.place(tensor.parameter))
            for tensor in tensors
            if tensor.parameter.type.dtype is DType.S8
        ],
        "guard_ends": [
            (count_ends(context, tensor), most_ends(tensor, graph.parameters))
            for tensor in tensors
            if tensor.parameter.type.size >= FEWEST_ELEMENTS
        ],
    }


def count_ends(context: EmitContext, tensor: TrainedTensor) -> str:
    """The call that counts a trained tensor's elements at an end of their range."""
    size, place = tensor.parameter.type.size, context.place(tensor.parameter)
    if tensor.parameter.type.dtype is DType.S32:
        return context.call("tt_count_ends_s32", size, place).removesuffix(";")
    fraction = "NULL" if tensor.fraction is None else context.place(tensor.fraction)
    return context.call("tt_count_ends_s8", size, place, fraction, tensor.bits).removesuffix(";")
