"""The tensors that an exported PyTorch program holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinytrain.errors import ModelError, Where
from tinytrain.frontend.program import Const


def constants_of(program: Any, file: str, replaced: Mapping[str, np.ndarray]) -> dict[str, Const]:
    """Weights, buffers and lifted constants by the name of their placeholder.

    Tensors that share their storage share their source, so that they are one parameter.

    Args:
        replaced: numbers in the place of those of the tensors with these names.
    """
    found: dict[str, Const] = {}
    sources: dict[Any, str] = {}
    for spec in program.graph_signature.input_specs:
        if spec.target is None:
            continue
        tensor = program.state_dict.get(spec.target, program.constants.get(spec.target))
        if tensor is None or not hasattr(tensor, "detach"):
            continue
        key = (tensor.data_ptr(), tuple(tensor.shape), tensor.stride())
        source = sources.setdefault(key, spec.target) if tensor.numel() else spec.target
        data = tensor.detach().cpu()
        data = data.float() if data.is_floating_point() else data
        array = data.contiguous().numpy()
        if array.dtype.kind == "f" and array.size > 1 and not np.isfinite(array).all():
            raise ModelError(
                f"the weights '{spec.target}' hold NaN or infinity",
                where=Where(file, spec.target),
                help="train or export the model again; a model with such weights cannot run",
            )
        array = replaced.get(source, array)
        found[spec.arg.name] = Const(array, source=source)
    return found


def held_by(program: Any, file: str) -> dict[str, np.ndarray]:
    """The same as the program has them, by name; of those that share one storage the first."""
    constants = constants_of(program, file, {}).values()
    return {const.source: const.data for const in constants if const.source is not None}
