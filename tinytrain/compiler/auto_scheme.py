"""`--scheme auto`: what is worth most within the RAM budget, by labelled samples.

Value is how far a step lowers the loss, to first order: the squared mean gradient, by which
ElasticTrainer (MobiSys 2023) values tensors; docs/choosing.md has the table that says why. Channels
are chosen by Fisher information. The set of largest value is found by a knapsack, whose costs the
planner corrects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from tinytrain.choosing.channel_scores import with_channels
from tinytrain.choosing.choices import Choices
from tinytrain.choosing.elastic import descent_of
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.knapsack import Chosen, Line, Values, best_set
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.cost_lines import INSTRUCTIONS, RAM, CostLines
from tinytrain.compiler.costs import Costs
from tinytrain.compiler.head_alone import check_head
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.options import Options
from tinytrain.compiler.worth import labelled_samples, worth_of
from tinytrain.data import Preprocess
from tinytrain.errors import BudgetError
from tinytrain.manifest.choice import ChoiceRecord, LayerChoiceRecord
from tinytrain.scheme.channels import channel_count
from tinytrain.scheme.scheme import AUTO, Scheme, Share
from tinytrain.target import Target

PATIENT = 3
"""Sets that the planner may refuse before sums have to leave something free."""

CLOSER = 2
"""Sets that the planner is asked about once one fits, each nearer to what one more byte forbids."""

ROUNDS = 16
"""Sets that the planner is asked about at most."""

WORK = 8.0
"""Limit of the solver in all of them, in its deterministic seconds."""

MARGINS = (0, 64, 512, 4096)
"""Bytes that are left free, one after the other, where the linker finds that a scheme takes more
than was planned: its stack may be deeper."""

Made = TypeVar("Made")


@dataclass(frozen=True, eq=False)
class ChosenScheme:
    """A scheme, and how it was chosen."""

    scheme: Scheme
    record: ChoiceRecord


class AutoScheme:
    """Schemes of one model that are worth most within a budget.

    Args:
        given: the model, with labelled calibration samples.
        options: that it is compiled with.

    Attributes:
        worth: what labelled samples say.
        costs: of the schemes that can be chosen.
        values: of what can be chosen.

    Raises:
        UsageError, DataError: there are no labelled samples.
    """

    def __init__(
        self,
        given: IntegerModel,
        options: Options,
        preprocess: Preprocess | None,
        target: Target,
    ) -> None:
        samples = labelled_samples(
            given, options, preprocess, f"--scheme {AUTO}", "name a preset or a scheme file"
        )
        self.worth = worth_of(given.forward, options, samples)
        self.costs = Costs(given.forward, options, target, given.quantized_samples())
        self._lines = CostLines(self.costs)
        self.values = values_of(self.costs.choices, self.worth)

    def within(self, budget: Budget, free: int = 0) -> ChosenScheme:
        """The scheme of most value within a budget, everything counted.

        Args:
            free: bytes of RAM that it leaves.

        Raises:
            BudgetError: not even the head alone fits; says what it takes.
        """
        limits = {RAM: budget.ram - free}
        if budget.instructions is not None:
            limits[INSTRUCTIONS] = budget.instructions
        found = self._best(limits)
        if not found.scheme.biases:
            check_head(self.costs, budget)
        scheme = replace(found.scheme, name=AUTO, choice="fisher")
        return ChosenScheme(with_channels(scheme, self.worth), self._record(found, budget.ram))

    def _best(self, limits: Mapping[str, int]) -> Chosen:
        """The set of most value that the planner finds to fit; the head where none is found.

        Sums and planner may not come together: many sets are worth nearly the same, and each takes
        a little too much. After `PATIENT` rounds the sums have to leave something free, by
        bisection as little as is enough. The set may then be worth less than the best, by the
        bound at most.
        """
        choices, work = self.costs.choices, WORK
        first, *others = self._lines.lines
        best, bound, free, too_little, fitted = None, 0.0, 0, 0, 0
        for rounds in range(1, ROUNDS + 1):
            lines = [replace(first, fixed=first.fixed + free), *others]
            found = best_set(choices, self.values, limits, lines, work=work)
            broken = [] if found is None else self._lines.check(found.scheme, limits)
            others += broken
            if found is not None:
                bound, work = bound or found.bound, work - found.work
                if not broken and (best is None or found.value > best.value):
                    best = replace(found, is_exact=found.is_exact and free == 0)
            if found is None or not broken:
                enough, fitted = free, fitted + 1
            elif rounds >= PATIENT:
                too_little = free
            if (not free and not broken) or fitted > CLOSER or work <= 0.0:
                break
            if fitted:
                free = (too_little + enough) // 2
            elif found is not None and rounds >= PATIENT:
                free = max(free + self._excess(found, broken, limits), 2 * free, limits[RAM] >> 6)
        if best is None:
            best = Chosen(choices.scheme(0, {}), 0.0, bound, is_exact=False, rounds=rounds)
        return replace(best, bound=max(bound, best.value), rounds=rounds)

    def _excess(self, found: Chosen, broken: Sequence[Line], limits: Mapping[str, int]) -> int:
        """Bytes of RAM by which a set is above its limit."""
        count, ratios = self.costs.choices.picked(found.scheme)
        over = (line.sum(count, ratios) - limits[RAM] for line in broken if line.what == RAM)
        return max(over, default=0)

    def _record(self, found: Chosen, ram: int) -> ChoiceRecord:
        choices, whole = self.costs.choices, self._whole()
        layers = tuple(self._layer(layer, found.scheme) for layer in choices.layers)
        return ChoiceRecord(
            samples=self.worth.samples,
            ram=ram,
            value=_rounded(found.value / whole),
            bound=_rounded(found.bound / whole),
            exact=found.is_exact,
            checked=found.rounds,
            layers=layers,
        )

    def _layer(self, layer: str, scheme: Scheme) -> LayerChoiceRecord:
        share = scheme.weights.get(layer)
        facts = self.worth.facts.get(layer)
        total = 1 if facts is None else facts.size.size
        added = None if share is None else self._lines.weights[layer, share.fraction]
        return LayerChoiceRecord(
            layer=layer,
            value=_rounded(sum(self.worth.descent.get(layer, ())) / self._whole()),
            bias_value=_rounded(self.values.biases.get(layer, 0.0) / self._whole()),
            bias=layer in scheme.biases,
            channels=0 if share is None else channel_count(share, total),
            of=total,
            ram=0 if added is None else added.ram,
        )

    def _whole(self) -> float:
        """The value of all layers before the head, above 0."""
        ratios = {layer: possible[-1] for layer, possible in self.costs.choices.ratios.items()}
        return self.values.of(self.costs.choices.layers, ratios) or 1.0


def values_of(choices: Choices, worth: Worth) -> Values:
    """What each choice is worth: of a bias, and of a ratio of a layer's weights."""
    return Values(
        {layer: worth.descent[layer][1] for layer in choices.layers if layer in worth.descent},
        {
            (layer, ratio): descent_of(worth, layer, _channels(worth, layer, ratio))
            for layer, ratios in choices.ratios.items()
            for ratio in ratios
            if ratio > 0.0 and layer in worth.descent
        },
    )


def _channels(worth: Worth, layer: str, ratio: float) -> int:
    return channel_count(Share(ratio), worth.facts[layer].size.size)


def first_that_fits(auto: AutoScheme, budget: Budget, make: Callable[[ChosenScheme], Made]) -> Made:
    """What is made of the best scheme that really fits; at last of the head alone.

    Args:
        make: raises `BudgetError` where the real folder takes more.
    """
    tried: list[Scheme] = []
    for margin in (*MARGINS, budget.ram):
        chosen = auto.within(budget, margin)
        if chosen.scheme in tried:
            continue
        tried.append(chosen.scheme)
        try:
            return make(chosen)
        except BudgetError as error:
            refusal = error
    raise refusal


def _rounded(value: float) -> float:
    return float(f"{value:.4g}")
