"""Targets that a model can reach, as far as its outputs have a range."""

from __future__ import annotations

import numpy as np

from tinytrain.data.spec import SampleSpec
from tinytrain.errors import DataError, Where

_NEAR = 100
"""A function that ends a model comes this near to its bounds, as parts of its range."""


def check_reach(targets: np.ndarray, spec: SampleSpec, where: Where) -> None:
    """Refuses targets that nothing the model learns could give.

    Behind a function that ends a model they may be a hundredth of the range off, as
    tanh comes near 1 only. Where calibration alone gave the range, as behind a move of pixels, they
    may be as far off as the range is wide: what is farther is in other units.

    Args:
        targets: float32 [N, output_size].

    Raises:
        DataError: one is beyond, with its sample and the range.
    """
    if spec.output_range is None:
        return
    low, high = spec.output_range
    room = (high - low) / (_NEAR if spec.ending else 1)
    beyond = ~((targets >= low - room) & (targets <= high + room))
    if not beyond.any():
        return
    sample, output = np.argwhere(beyond)[0]
    cause = f"the model ends in '{spec.ending}'" if spec.ending else "its range in s8"
    raise DataError(
        f"target {targets[sample, output]:g} of output {output} in sample {sample} is beyond what "
        f"the model can give, {low:.4g} to {high:.4g}: {cause}",
        where=where,
        help="bring the targets into this range, "
        + (
            f"or leave '{spec.ending}' out of the model, whose last layer then has no range"
            if spec.ending
            else "or compile with --range-headroom, which widens it"
        ),
    )
