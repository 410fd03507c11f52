"""What the templates say of a tensor that is trained."""

from __future__ import annotations

from tinytrain.emit.context import EmitContext
from tinytrain.emit.guard import count_ends
from tinytrain.ir.trained import TrainedTensor


def trained_text(context: EmitContext, tensor: TrainedTensor) -> dict[str, str]:
    """A trained tensor's name, and the call that counts its elements at an end of their range."""
    return {"name": tensor.name, "count_ends": f"{count_ends(context, tensor)};"}
