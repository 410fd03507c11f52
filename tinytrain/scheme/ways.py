"""The ways to choose which input channels of a layer train where a scheme names only how many.

Each way scores channels, and those with the highest scores train. A channel's score is that of all
weights that read it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ChannelFacts:
    """What is known of the C input channels of a layer.

    Attributes:
        size: f64 [C], the sum of |real weight| over all weights that read the channel.
        order: int [C], the channels in a random order.
        contributions: f64 [N, C], of each labelled sample the sum of weight times gradient over
            the same weights, which is the sum of the channel's activation times the gradient that
            the layer hands back for it, over its positions; None where there are no samples.
        sensitivity: f64 [C], the sum over the same weights of |weight times the mean gradient of
            the samples|; None where there are no samples.
    """

    size: np.ndarray
    order: np.ndarray
    contributions: np.ndarray | None = None
    sensitivity: np.ndarray | None = None


@dataclass(frozen=True)
class Way:
    """One way.

    Attributes:
        what: trains first, for a table.
        source: where it comes from.
        score: of each channel, f64 [C].
        measured: whether it needs labelled samples.
    """

    what: str
    source: str
    score: Callable[[ChannelFacts], np.ndarray]
    measured: bool = False


def _random(facts: ChannelFacts) -> np.ndarray:
    return -np.argsort(facts.order).astype(np.float64)


def _fisher(facts: ChannelFacts) -> np.ndarray:
    assert facts.contributions is not None, "measured"
    return 0.5 * _mean(np.square(facts.contributions))


def _taylor(facts: ChannelFacts) -> np.ndarray:
    assert facts.contributions is not None, "measured"
    return _mean(np.abs(facts.contributions))


def _snip(facts: ChannelFacts) -> np.ndarray:
    assert facts.sensitivity is not None, "measured"
    return facts.sensitivity


def _mean(rows: np.ndarray) -> np.ndarray:
    """Of [N, C] over N, row after row, so that the last digit is the same on every machine."""
    total: np.ndarray = np.cumsum(rows, axis=0)[-1] / len(rows)
    return total


WAYS: Mapping[str, Way] = {
    "largest": Way(
        "the channels with the largest sum of |weight|",
        "the schemes of Lin et al., NeurIPS 2022",
        lambda facts: facts.size,
    ),
    "smallest": Way(
        "those with the smallest", "the opposite of `largest`", lambda facts: -facts.size
    ),
    "random": Way("any, drawn by `--seed`", "what every other way has to beat", _random),
    "fisher": Way(
        "the largest mean over samples of (activation · gradient, summed over positions)²",
        "Theis et al. 2018; Kwon et al., TinyTrain, ICML 2024",
        _fisher,
        measured=True,
    ),
    "taylor": Way(
        "the largest mean over samples of |activation · gradient, summed over positions|",
        "Molchanov et al., ICLR 2017",
        _taylor,
        measured=True,
    ),
    "snip": Way(
        "the largest sum over weights of |weight · mean gradient|",
        "Lee et al., SNIP, ICLR 2019",
        _snip,
        measured=True,
    ),
}
"""By the word in a scheme, the default first."""
