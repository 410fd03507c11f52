"""Chooses the input channels of a layer that are trained."""

from __future__ import annotations

import math

import numpy as np

from tinytrain.errors import SchemeError
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.scheme.ways import WAYS, ChannelFacts


def choose_channels(
    layer: str, share: Share, choice: str, score: np.ndarray, seed: int
) -> tuple[int, ...]:
    """Indices of the chosen input channels, ascending.

    Args:
        layer: name, for errors, and so that a random choice differs between layers.
        share: how many, or which.
        choice: a way of `WAYS` that needs no samples, where the share leaves a choice.
        score: of each input channel: the sum of |real weight| over everything that reads it.
        seed: of a random choice.

    Raises:
        SchemeError: a listed channel does not exist, or the choice needs labelled samples.
    """
    total = score.size
    if share.channels is not None:
        if share.channels[-1] >= total:
            raise SchemeError(
                f"layer '{layer}' has no input channel {share.channels[-1]}",
                help=f"its channels are 0 to {total - 1}",
            )
        return share.channels
    count = channel_count(share, total)
    if count == total:
        return tuple(range(total))
    if WAYS[choice].measured:
        raise needs_samples(choice)
    return highest(choice, ChannelFacts(score, random_order(layer, total, seed)), count)


def channel_count(share: Share, total: int) -> int:
    """How many of `total` input channels a share trains."""
    if share.channels is not None:
        return len(share.channels)
    return max(1, math.floor(share.fraction * total + 0.5))


def highest(choice: str, facts: ChannelFacts, count: int) -> tuple[int, ...]:
    """Indices of the `count` channels that a way scores highest, ascending."""
    # A stable sort: of equal channels the first is taken, on every machine.
    order = np.argsort(-WAYS[choice].score(facts), kind="stable")
    return tuple(sorted(int(c) for c in order[:count]))


def random_order(layer: str, total: int, seed: int) -> np.ndarray:
    """The channels of a layer in a random order."""
    return np.random.default_rng([seed, *layer.encode()]).permutation(total)


def by_channel(values: np.ndarray, multiple: int | None) -> np.ndarray:
    """Sums over everything that reads an input channel, f64 [C].

    Args:
        values: of each weight, f64 [O, KH, KW, I].
        multiple: of a depthwise layer, whose row o reads channel o // multiple; None of any other.
    """
    if multiple is None:
        return np.asarray(values.sum((0, 1, 2)))
    return np.asarray(values.reshape(-1, multiple * values[0].size).sum(axis=1))


def is_open(share: Share) -> bool:
    """Whether a share leaves it open which channels train."""
    return share.channels is None and share.fraction < 1.0


def is_measured(scheme: Scheme) -> bool:
    """Whether labelled samples have to say which channels a scheme trains."""
    return WAYS[scheme.choice].measured and any(map(is_open, scheme.weights.values()))


def unmeasured_words() -> str:
    """The ways to choose that need no samples, in words."""
    *most, last = (word for word, way in WAYS.items() if not way.measured)
    return f"{', '.join(most)} or {last}"


def needs_samples(choice: str) -> SchemeError:
    """The error where a way has no labelled samples."""
    return SchemeError(
        f'channels = "{choice}" is chosen by what labelled samples say, and there are none',
        help=f"choose channels by {unmeasured_words()}, or list them",
    )
