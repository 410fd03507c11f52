"""Which schemes are tried: presets, growing sets of biases, one layer at a time, and sets of them.

All of it is asked of `Measured`, so that the same measurements give the same schemes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from tinytrain.choosing.choices import Choices, scheme_key
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.knapsack import Values
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.costs import Cost
from tinytrain.errors import ModelError
from tinytrain.scheme.scheme import Scheme, load_scheme
from tinytrain.scheme.ways import WAYS
from tinytrain.searches.front import PRESET, Tried, ranked
from tinytrain.searches.growth import LAST_PICKS, MEASURED, PICKS, grown, other_channels
from tinytrain.searches.measured import Marks, Measured, TrialLength
from tinytrain.searches.prices import Prices, Takes, may_hold
from tinytrain.searches.sets import Price, Sets
from tinytrain.searches.valuations import (
    by_contribution,
    by_fisher,
    by_number,
    by_root,
    by_tinytrain,
)

LAST = (1, 2, 3, 6, 12)
"""Presets `last-K` that are tried."""

BIASES = (0.25, 0.5, 0.75)
"""Parts of all biases that are tried, the last ones."""

LAYERS = 48
"""Layers that are tried one at a time, the most by Fisher where there are more."""

BUDGETS = 5
"""For so many sizes of RAM sets are tried, from the head's to all that the target has."""

VALUATIONS = ("contribution", "fisher", "root", "number", "tinytrain")

ASKED_ALONE = ("tinytrain",)
"""Of these, that are tried within the budget that was asked for alone."""

TIMES = 3
"""For so many numbers of instructions sets are tried, whatever RAM they take."""


@dataclass(frozen=True, eq=False)
class Explored:
    """What was tried.

    Attributes:
        tried: each scheme once.
        contributions: of layers by how much their weights lower the loss beside the biases; minus
            infinity where it was not finite.
    """

    tried: tuple[Tried, ...]
    contributions: Mapping[str, float]


class Explorer:
    """Asks for measurements until it knows what to try next.

    Args:
        layers: with weights, in execution order; the last is the head.
        measured, length: what is known of candidates, and how long they train.
        most: bytes of RAM that the target has.
    """

    def __init__(
        self,
        layers: Sequence[str],
        choices: Choices,
        measured: Measured,
        length: TrialLength,
        prices: Prices,
        sets: Sets,
        worth: Worth,
        most: int,
    ) -> None:
        self._layers, self._choices, self._worth = layers, choices, worth
        self._measured, self._length = measured, length
        self._prices, self._sets, self._most = prices, sets, most
        self._tried: dict[object, Tried] = {}
        self._gaps: dict[object, float] = {}

    def explore(self, limits: Budget, expect: Callable[[int], None]) -> Explored:
        """All that is to be tried.

        Args:
            limits: where the search looks more closely.
            expect: hears how many trainings it will take, about.

        Raises:
            NotMeasured: what has to be measured first.
        """
        self._tried, self._gaps = {}, {}
        budgets = self._budgets(limits)
        expect(len(self._length.seeds) * self._count(len(budgets)))
        biases = list(self._biases())
        self._measure([*self._presets(), *((one, "biases") for one in biases)])
        losses = {len(one.biases): self._loss(one) for one in biases}
        gains = self._contributions(losses)
        values = self._values(gains, losses)
        self._measure([*self._chosen(values, budgets), *self._in_time(limits)])
        base = min(biases, key=lambda one: (self._marks(one).loss, len(one.biases)))
        for start in (biases[0], base):
            self._grow(start, values["contribution"], self._most, PICKS, per_byte=True)
        self._improve(values["contribution"], limits)
        tried = [replace(one, gap=self._gaps.get(key)) for key, one in self._tried.items()]
        return Explored(tuple(tried), gains)

    def _count(self, budgets: int) -> int:
        alone = len(list(self._presets())) + len(list(self._biases())) + len(self._candidates())
        picks = (2 * PICKS + LAST_PICKS) * MEASURED // 2
        return alone + len(VALUATIONS) * budgets + TIMES + picks + len(WAYS) - 1

    def _grow(
        self, start: Scheme, values: Values, budget: int, picks: int, *, per_byte: bool
    ) -> None:
        def measure(scheme: Scheme, origin: str) -> float:
            self._measure([(scheme, origin)])
            return self._loss(scheme)

        def cost(scheme: Scheme) -> int:
            return self._prices.takes(scheme).ram

        for _ in grown(
            start,
            self._choices,
            values,
            measure,
            cost,
            budget,
            per_byte=per_byte,
            picks=picks,
        ):
            pass

    def _improve(self, values: Values, limits: Budget) -> None:
        """Grows the best scheme that fits as far as it goes, then tries other channels of it."""
        best = self._best_within(limits, chosen_only=True)
        if best is not None:
            self._grow(best, values, limits.ram, LAST_PICKS, per_byte=False)
        best = self._best_within(limits)
        if best is not None:
            others = other_channels(best, self._worth)
            self._measure([(one, "other channels") for one in others])

    def _best_within(self, limits: Budget, *, chosen_only: bool = False) -> Scheme | None:
        """Of what fits by sums, the scheme with the least loss."""
        for one in ranked(tuple(self._tried.values())):
            if may_hold(limits, one.takes) and one.takes.ram <= limits.ram:
                if not chosen_only:
                    return one.scheme
                with suppress(ModelError):
                    self._choices.picked(one.scheme)
                    return one.scheme
        return None

    def _measure(self, schemes: Sequence[tuple[Scheme, str]]) -> None:
        """Tries schemes that were not tried yet, all together."""
        new = {scheme_key(one): (one, origin) for one, origin in reversed(schemes)}
        new = {key: new[key] for key in reversed(new) if key not in self._tried}
        marks = self._measured.marks([one for one, _ in new.values()], self._length)
        for (key, (scheme, origin)), found in zip(new.items(), marks, strict=True):
            self._tried[key] = Tried(scheme, origin, self._prices.takes(scheme), found)

    def _marks(self, scheme: Scheme) -> Marks:
        return self._tried[scheme_key(scheme)].short

    def _loss(self, scheme: Scheme) -> float:
        """Where it was not finite, the largest finite one so far: gains are differences."""
        loss = self._marks(scheme).loss
        if math.isfinite(loss):
            return loss
        losses = (one.short.loss for one in self._tried.values())
        return max((one for one in losses if math.isfinite(one)), default=0.0)

    def _presets(self) -> Iterator[tuple[Scheme, str]]:
        body = len(self._layers) - 1
        names = ["head", "bias", *(f"last-{k}" for k in LAST if k < body), "full"]
        for name in names:
            scheme = load_scheme(name, self._layers)
            if scheme_key(scheme) == scheme_key(self._within(scheme)):
                yield scheme, PRESET

    def _within(self, scheme: Scheme) -> Scheme:
        """What of a scheme can be chosen at all."""
        most, ratios = self._choices.counts[-1], self._choices.ratios
        allowed = set(self._choices.layers[len(self._choices.layers) - most :])
        return replace(
            scheme,
            biases=tuple(layer for layer in scheme.biases if layer in allowed),
            weights={k: share for k, share in scheme.weights.items() if k in ratios},
        )

    def _biases(self) -> Iterator[Scheme]:
        most = self._choices.counts[-1]
        counts = {0, *(round(part * most) for part in BIASES), most}
        for count in sorted(counts):
            yield replace(self._choices.scheme(count, {}), name=f"biases-{count}")

    def _candidates(self) -> list[str]:
        layers = self._choices.ratios
        best = sorted(layers, key=lambda layer: -self._worth.layers.get(layer, 0.0))[:LAYERS]
        return [layer for layer in layers if layer in best]

    def _contributions(self, losses: Mapping[int, float]) -> dict[str, float]:
        """Of layers by how much their weights lower the loss beside the best number of biases."""
        base = min(losses, key=lambda count: (losses[count], count))
        layers = self._candidates()
        schemes = []
        for layer in layers:
            count = max(base, self._choices.reach(layer))
            one = self._choices.scheme(count, {layer: 1.0})
            schemes.append(replace(one, name=f"biases-{count}+{layer}"))
        self._measure([(scheme, "contribution") for scheme in schemes])
        return {
            layer: losses[base] - self._marks(scheme).loss
            for layer, scheme in zip(layers, schemes, strict=True)
        }

    def _values(self, gains: Mapping[str, float], losses: Mapping[int, float]) -> dict[str, Values]:
        choices, worth = self._choices, self._worth
        found = (
            by_contribution(choices, worth, gains, losses),
            by_fisher(choices, worth),
            by_root(choices, worth),
            by_number(choices, worth),
            by_tinytrain(choices, worth, *self._sets.sizes),
        )
        return dict(zip(VALUATIONS, found, strict=True))

    def _in_time(self, limits: Budget) -> Iterator[tuple[Scheme, str]]:
        """What lowers the loss most within a time."""
        asked = [] if limits.instructions is None else [limits.instructions]
        for instructions in dict.fromkeys((*self._sets.times(TIMES), *asked)):
            name = f"elastic-{instructions}"
            yield self._sets.in_time(name, self._worth, instructions), "elastic"

    def _budgets(self, limits: Budget) -> list[Budget]:
        """Sizes of RAM, evenly spread by their ratios, and last what was asked for, once."""
        least = self._prices.takes(self._choices.scheme(0, {})).ram
        everything = self._choices.scheme(
            self._choices.counts[-1], {k: r[-1] for k, r in self._choices.ratios.items()}
        )
        most = max(min(self._prices.takes(everything).ram, self._most), least)
        spread = [int(least * (most / least) ** (k / BUDGETS)) for k in range(1, BUDGETS + 1)]
        sizes = [ram for ram in dict.fromkeys(spread) if ram != limits.ram]
        return [*(Budget(ram, limits.flash) for ram in sizes), limits]

    def _chosen(
        self, values: Mapping[str, Values], budgets: Sequence[Budget]
    ) -> Iterator[tuple[Scheme, str]]:
        """The best sets of each way to value, of each budget; the planner decides what fits the
        one that was asked for."""
        *spread, asked = budgets

        def planned(scheme: Scheme) -> Takes | Cost:
            takes = self._prices.takes(scheme)
            return self._prices.planned(scheme, asked.ram) if may_hold(asked, takes) else takes

        for way, valued in values.items():
            ways: list[tuple[Budget, Price, str]] = [
                *((one, self._prices.takes, "sums") for one in spread if way not in ASKED_ALONE),
                (asked, planned, "plans"),
            ]
            for limits, price, by in ways:
                found = self._sets.best(f"{way}-{limits.ram}", valued, limits, price, by)
                if found is not None:
                    self._gaps.setdefault(scheme_key(found.scheme), found.gap)
                    yield found.scheme, f"knapsack by {way}"
