"""Longer trainings of the best schemes, and of the best of these at other learning rates."""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import replace
from statistics import mean, stdev

from tinytrain.choosing.choices import scheme_key
from tinytrain.compiler.budget import Budget
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches.front import Tried, order, ranked
from tinytrain.searches.growth import FASTER, OTHER_RATES, other_rates
from tinytrain.searches.lengths import Lengths
from tinytrain.searches.measured import Marks, Measured, TrialLength
from tinytrain.searches.prices import Prices

FINALISTS = 8
"""Schemes that train longer: the sets that were made for the budget, as what trains more is slower
at first, and of those that fit the best by the loss of the judges."""

OF_ORIGIN = 2
"""So many of these that came about in one way: what grew pick by pick is much alike."""

BETTER = 4
"""So many of these train in all orders of the samples, the best ones in the first order: half of
them, as in successive halving (Karnin et al., ICML 2013)."""

RATED = 2
"""So many of these, the best ones, that are tried with other learning rates, and so many of what
comes of it that train in all orders."""

STACK = 64
"""Bytes by which the stacks of two schemes may differ: the planner knows that of one."""


class Finals:
    """Which of the schemes that were tried train longer.

    Args:
        measured, lengths: what is known of candidates, and how long they train.
        limits: that finalists keep.
        head: the layer's name.
    """

    def __init__(
        self, measured: Measured, lengths: Lengths, prices: Prices, limits: Budget, head: str
    ) -> None:
        self._measured, self._lengths, self._prices = measured, lengths, prices
        self._limits, self._head = limits, head

    def of(self, explored: Sequence[Tried], refused: Set[object]) -> list[Tried]:
        """All that was tried, with what longer trainings gave, and the best at other rates.

        Args:
            refused: keys of schemes whose folder takes too much.

        Raises:
            NotMeasured: what has to be measured first.
        """
        limits, measured, lengths = self._limits, self._measured, self._lengths
        tight = replace(limits, ram=limits.ram - STACK)
        best = [one for one in ranked(explored) if one.key not in refused]
        ends = tuple(f"-{n}" for n in (limits.ram, limits.instructions) if n)
        asked = [one for one in best if one.name.endswith(ends)]
        able = [*asked, *(one for one in best if one not in asked)]
        finalists = self._that_fit(able, tight) or self._that_fit(able, limits)
        # The head's folder fits, whatever is estimated of it.
        finalists = finalists or [one for one in able if not one.scheme.trains_body]
        longer = halved(finalists, BETTER, measured, lengths.long)
        done = {one.key: one for one in longer}
        first = sorted((one for one in longer if one.long), key=order)[:RATED]
        rated = at_other_rates(first, self._head, measured, lengths.short)
        rated = clearly_better(halved(rated, RATED, measured, lengths.long), first)
        return [*(done.get(one.key, one) for one in explored), *rated]

    def _that_fit(self, able: Sequence[Tried], limits: Budget) -> list[Tried]:
        found: list[Tried] = []
        for one in able:
            if len(found) == FINALISTS:
                break
            if sum(other.origin == one.origin for other in found) == OF_ORIGIN:
                continue
            fitted = self._prices.within(one.scheme, limits)
            if fitted is not None:
                found.append(replace(one, fitted=fitted))
        return found


def trainings_of(lengths: Lengths) -> int:
    """How many finals take, at most."""
    short, long = len(lengths.short.seeds), len(lengths.long.seeds)
    rated = RATED * len(FASTER)
    once = FINALISTS - BETTER + rated - RATED
    return once + rated * short + (BETTER + RATED) * long


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


def clearly_better(rated: Sequence[Tried], usual: Sequence[Tried]) -> list[Tried]:
    """Those that are better than at the rate before stay in; the others are left behind.

    Better by more than the standard error of the differences, order by order: of several rates one
    is always a little ahead by chance.

    Args:
        rated: schemes at other rates.
        usual: the schemes that they were made of, the best first.
    """
    # The best of them counts, where two differ by their rates alone.
    before = {_layers(one.scheme): one.long for one in reversed(usual)}
    found = []
    for one in rated:
        plain = before[_layers(one.scheme)]
        assert plain is not None, "its base trained in all orders"
        is_better = one.long is not None and _exceeds(one.long, plain)
        found.append(one if is_better else replace(one, long=None, left=one.long or one.left))
    return found


def _layers(scheme: Scheme) -> tuple[object, ...]:
    """What trains, at whatever rates."""
    return scheme_key(replace(scheme, rate=1.0, rates={}))


def _exceeds(marks: Marks, others: Marks) -> bool:
    pairs = zip(marks.accuracies, others.accuracies, strict=True)
    gains = [one - other for one, other in pairs]
    error = stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else 0.0
    return mean(gains) > error
