"""Chooses the input channels of a layer that are trained."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.errors import SchemeError
from tinytrain.scheme.scheme import Share


def choose_channels(
    layer: str,
    share: Share,
    choice: str,
    weights: np.ndarray,
    scale: np.ndarray,
    depthwise: bool,
    seed: int,
) -> tuple[int, ...]:
    """Indices of the chosen input channels, ascending.

    Args:
        layer: name, for errors, and so that a random choice differs between layers.
        share: how many, or which.
        choice: `largest` and `smallest` go by the sum of |real weight| over everything that reads a
            channel.
        weights: s8 [O, KH, KW, I/groups].
        scale: of each output channel, [O].
        depthwise: weights have one column, and row o reads channel o // (O / I).
        seed: of a random choice.

    Returns:
        columns of the last axis; for a depthwise layer rows of the first.

    Raises:
        SchemeError: a listed channel does not exist.
    """
    magnitude = np.abs(weights.astype(np.float64)) * scale[:, None, None, None]
    score = magnitude.sum(axis=(1, 2, 3)) if depthwise else magnitude.sum(axis=(0, 1, 2))
    total = score.size
    if share.channels is not None:
        if share.channels[-1] >= total:
            raise SchemeError(
                f"layer '{layer}' has no input channel {share.channels[-1]}",
                way_out=f"its channels are 0 to {total - 1}",
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
