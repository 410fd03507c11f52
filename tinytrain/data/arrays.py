"""Arrays as people have them: NumPy's, PyTorch's tensors, lists, and whatever else NumPy takes."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinytrain.errors import DataError, Where


def as_array(value: Any, where: Where) -> np.ndarray:
    """The numbers of `value`.

    A tensor of PyTorch is taken from its graph and its device; PyTorch is not imported for that.

    Args:
        value: an array, a tensor, a number, a sequence of numbers, or what has `__array__`.

    Raises:
        DataError: it is something else, or a sequence of sequences of different lengths.
    """
    if hasattr(value, "detach") and hasattr(value, "cpu"):
        value = value.detach().cpu()
        # NumPy has no bfloat16.
        value = value.float() if str(value.dtype) == "torch.bfloat16" else value
        value = value.resolve_conj().resolve_neg() if hasattr(value, "resolve_neg") else value
        value = value.numpy()
    try:
        array = np.asarray(value)
    except (ValueError, TypeError, RuntimeError) as error:
        raise DataError(
            f"a '{type(value).__name__}' holds no array of numbers: {error}", where=where
        ) from error
    if array.dtype.kind not in "fiub":
        raise DataError(
            f"{_called(value)} holds no numbers",
            where=where,
            help="give arrays or tensors of numbers, all samples of one shape",
        )
    return array


def _called(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return f"an array of dtype {value.dtype}"
    return f"a '{type(value).__name__}'"
