"""Samples of a model with several inputs: an array for each of them, packed into one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import numpy as np

from tinytrain.data.inputs import checked_samples
from tinytrain.data.packing import packed
from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, Where


def input_keys(spec: SampleSpec) -> tuple[str, ...]:
    """Names that an .npz file may have for inputs: `x`; of several their own, or x0, x1, ..."""
    return ("x", *_names(spec), *_numbers(spec))


def with_x(
    arrays: Mapping[str, np.ndarray], spec: SampleSpec, where: Where
) -> Mapping[str, np.ndarray]:
    """Arrays in which `x` holds all inputs of a sample.

    Args:
        arrays: of a file, by `input_keys`, and others that stay as they are.

    Raises:
        DataError: an input is missing, or does not fit the model.
    """
    keys = keys_of_inputs(arrays, spec)
    if keys is None:
        if not spec.parts or "x" in arrays:
            return arrays
        raise DataError(
            f"there is no array for each of the model's inputs {', '.join(_names(spec))}",
            where=where,
            help=f"name them so, or {', '.join(_numbers(spec))}: np.savez(file, x0=..., y=targets)",
        )
    return {**arrays, "x": packed_inputs([arrays[key] for key in keys], spec, where)}


def keys_of_inputs(arrays: Collection[str], spec: SampleSpec) -> tuple[str, ...] | None:
    """By which names there is an array for each of several inputs; None where there is not."""
    for keys in (_names(spec), _numbers(spec)):
        # An input that is called y would be mistaken for the targets.
        if keys and "y" not in keys and all(key in arrays for key in keys):
            return keys
    return None


def _names(spec: SampleSpec) -> tuple[str, ...]:
    return tuple(part.name for part in spec.parts)


def _numbers(spec: SampleSpec) -> tuple[str, ...]:
    return tuple(f"x{place}" for place in range(len(spec.parts)))


def packed_inputs(inputs: Sequence[np.ndarray], spec: SampleSpec, where: Where) -> np.ndarray:
    """The inputs as one array.

    Args:
        inputs: for each input of the model [N, ...] in its own shape and layout, or all without
            N for one sample.

    Returns:
        float32 [N, elements], or [elements] of one sample.

    Raises:
        DataError: one does not fit, or they are not of as many samples.
    """
    if len(inputs) != len(spec.parts):
        raise DataError(
            f"there are {len(inputs)} inputs, but the model takes {len(spec.parts)}: "
            f"{', '.join(part.name for part in spec.parts)}",
            where=where,
        )
    shapes = zip(inputs, spec.parts, strict=True)
    is_single = all(x.shape == part.source_shape[1:] for x, part in shapes)
    found = []
    for x, part in zip(inputs, spec.parts, strict=True):
        at = Where(f"{where.file}, input '{part.name}'")
        if x.dtype == np.uint8:
            raise DataError(
                "the input is uint8, and a model with several inputs takes float32 in its units",
                where=at,
                help="scale images before they are saved",
            )
        found.append(checked_samples(x[None] if is_single else x, part.spec(), at))
    counts = [len(x) for x in found]
    if len(set(counts)) > 1:
        raise DataError(
            f"the inputs are of different numbers of samples: {', '.join(map(str, counts))}",
            where=where,
        )
    whole = packed(found)
    return whole[0] if is_single else whole
