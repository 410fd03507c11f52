"""Conversions of ATen tensors to other dtypes."""

from __future__ import annotations

from tinytrain.frontend.pieces import is_whole
from tinytrain.frontend.program import Call
from tinytrain.frontend.pytorch.operands import AtenOperands, Found


def converted(operands: AtenOperands) -> list[Found]:
    """A conversion to another dtype, which changes no number.

    Raises:
        ModelError: it cuts reals to integers.
    """
    x, dtype = operands.values["self"], str(operands.get("dtype"))
    is_real = isinstance(x, Call) and x.dtype == "float32" and not is_whole(x)
    if is_real and dtype.startswith(("torch.int", "torch.uint", "torch.bool")):
        raise operands.builder.error(
            f"a conversion of an activation to {dtype} is not supported",
            "leave it out, or use torch.floor or torch.round, or a comparison, before it",
        )
    return [x]
