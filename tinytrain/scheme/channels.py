"""Chooses the input channels of a layer that are trained."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.errors import SchemeError
from tinytrain.scheme.scheme import Share


def choose_channels(
    layer: str, share: Share, choice: str, score: np.ndarray, seed: int
) -> tuple[int, ...]:
    """Indices of the chosen input channels, ascending.

    Args:
        layer: name, for errors, and so that a random choice differs between layers.
        share: how many, or which.
        choice: `largest` and `smallest` go by `score`.
        score: of each input channel: the sum of |real weight| over everything that reads it.
        seed: of a random choice.

    Raises:
        SchemeError: a listed channel does not exist.
    """
    total = score.size
    if share.channels is not None:
        if share.channels[-1] >= total:
            raise SchemeError(
                f"layer '{layer}' has no input channel {share.channels[-1]}",
                help=f"its channels are 0 to {total - 1}",
            )
        return share.channels
    count = max(1, math.floor(share.fraction * total + 0.5))
    if choice == "random":
        words = [seed, *layer.encode()]
        order = np.random.default_rng(words).permutation(total)
    else:
        # A stable sort: of equal channels the first is taken, on every machine.
        order = np.argsort(-score if choice == "largest" else score, kind="stable")
    return tuple(sorted(int(c) for c in order[:count]))
