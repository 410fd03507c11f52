"""What the templates say of what is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from tinytrain.emit.c_text import C_TYPES
from tinytrain.emit.context import EmitContext
from tinytrain.emit.guard import count_ends
from tinytrain.ir.graph import Node, Value
from tinytrain.ir.trained import TrainedTensor
from tinytrain.ir.types import DType
from tinytrain.reference.gradients import limit


def trained_text(context: EmitContext, tensor: TrainedTensor) -> dict[str, str]:
    """A trained tensor's name, and the call that counts its elements at an end of their range."""
    return {"name": tensor.name, "count_ends": f"{count_ends(context, tensor)};"}


def gradient_text(context: EmitContext, quantize: Sequence[Node]) -> dict[str, object]:
    """Of the node that the backward pass begins with; without one nothing trains."""
    if not quantize:
        return {"trains": False}
    value = quantize[0].output
    dtype = value.type.dtype
    return {
        "trains": True,
        "seed_gradient": context.place(value),
        "gradient": dtype.value,
        "limit": 0 if dtype is DType.F32 else limit(dtype.numpy),
    }


def state_fields(context: EmitContext) -> list[dict[str, object]]:
    """The member of the state that holds each parameter."""
    readers = context.graph.users()
    return [
        {
            "name": context.fields[value],
            "c_type": C_TYPES[data.dtype],
            "size": data.size,
            "is_bias": int(value.type.dtype is DType.S32),
            "initial": _initial_text(context, readers, value, data),
            "is_samples": False,
        }
        for value, data in context.graph.parameters.items()
    ]


def _initial_text(
    context: EmitContext, readers: Mapping[Value, Sequence[Node]], value: Value, data: np.ndarray
) -> str:
    """The address of a parameter's initial data; none is stored where all is 0."""
    context.layer = next((node.layer for node in readers.get(value, ())), "")
    return "NULL" if not data.any() else context.array(f"{value.name}_initial", data)
