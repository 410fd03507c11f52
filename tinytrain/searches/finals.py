"""Longer trainings of the best schemes, and of the best of these at other learning rates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tinytrain.searches.front import Tried, order
from tinytrain.searches.growth import OTHER_RATES, other_rates
from tinytrain.searches.measured import Measured, TrialLength


def halved(
    finalists: Sequence[Tried], count: int, measured: Measured, length: TrialLength
) -> list[Tried]:
    """All of them train in the first order of the samples, and so many, the best, in all orders.

    One round of successive halving (Karnin, Koren and Somekh, Almost Optimal Exploration in
    Multi-Armed Bandits, ICML 2013). In one order all have the same judges.

    Raises:
        NotMeasured: what has to be measured first.
    """
    alone = replace(length, seeds=length.seeds[:1])
    marks = measured.marks([one.scheme for one in finalists], alone)
    first = [replace(one, long=long) for one, long in zip(finalists, marks, strict=True)]
    better = sorted(first, key=order)[:count]
    whole = measured.marks([one.scheme for one in better], length)
    found = {id(one): long for one, long in zip(better, whole, strict=True)}
    return [
        replace(one, long=found[id(one)])
        if id(one) in found
        else replace(one, long=None, left=one.long)
        for one in first
    ]


def at_other_rates(
    finalists: Sequence[Tried], head: str, measured: Measured, length: TrialLength
) -> list[Tried]:
    """Each of them at each other rate, by short trainings: it takes as much.

    Args:
        head: the layer's name.

    Raises:
        NotMeasured: what has to be measured first.
    """
    found = [(one, scheme) for one in finalists for scheme in other_rates(one.scheme, head)]
    marks = measured.marks([scheme for _, scheme in found], length)
    return [
        replace(one, scheme=scheme, origin=OTHER_RATES, short=short, long=None, gap=None)
        for (one, scheme), short in zip(found, marks, strict=True)
    ]
