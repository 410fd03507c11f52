"""`--scheme auto`: what is worth most within the budget, by labelled samples.

Value is what a set of layers wins that learn at one rate (`choosing.shared_rate`), and beside a
fresh head how little its samples disturb each other (`choosing.interference`); docs/choosing.md
has the tables that say why. Channels are chosen by Fisher information. The set of largest value is
found by a knapsack, or change by change, with costs that the planner corrects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from tinytrain.choosing.channel_scores import with_channels
from tinytrain.choosing.choices import Choices
from tinytrain.choosing.climb import climb
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.interference import Interference
from tinytrain.choosing.knapsack import Chosen, Line, Values, best_set
from tinytrain.choosing.shared_rate import ENERGY, Band, SharedRate
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.cost_lines import INSTRUCTIONS, RAM, CostLines
from tinytrain.compiler.costs import Costs
from tinytrain.compiler.head_alone import check_head
from tinytrain.compiler.integers import IntegerModel
from tinytrain.compiler.options import Options
from tinytrain.compiler.worth import labelled_samples, worth_of
from tinytrain.data import Preprocess
from tinytrain.manifest.choice import ChoiceRecord, LayerChoiceRecord
from tinytrain.scheme.channels import channel_count
from tinytrain.scheme.scheme import AUTO, Scheme
from tinytrain.target import Target

PATIENT = 3
"""Sets that the planner may refuse before sums have to leave something free."""

CLOSER = 2
"""Sets that the planner is asked about once one fits, each nearer to what one more byte forbids."""

ROUNDS = 20
"""Sets that the planner is asked about at most."""

WORK = 8.0
"""Limit of the solver in all of them, in its deterministic seconds."""

PLANNED = 180_000
"""Where the planner ends: the sum over plans of the square of their nodes, as which its work grows.
Of MCUNet-5FPS that is three plans."""

Solve = Callable[[list[Line]], Chosen | None]
"""The set of most value whose sums keep all limits."""


@dataclass(frozen=True, eq=False)
class ChosenScheme:
    """A scheme, and how it was chosen."""

    scheme: Scheme
    record: ChoiceRecord


@dataclass(eq=False)
class _Asked:
    """What the planner was asked about for one budget.

    Attributes:
        nodes: of a plan.
        rounds: sets.
        work: of the solver so far.
        plans: that the planner made.
        broken: lines that sets broke; they hold for all bands.
    """

    nodes: int
    rounds: int = 0
    work: float = 0.0
    plans: int = 0
    broken: list[Line] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether that is enough."""
        planned = self.plans * self.nodes**2
        return self.rounds >= ROUNDS or self.work >= WORK or planned >= PLANNED

    def add(self, found: Chosen | None, broken: Sequence[Line]) -> None:
        """A set, and the lines that it breaks."""
        self.rounds += 1
        self.work += 0.0 if found is None else found.work
        self.broken += broken


class AutoScheme:
    """Schemes of one model that are worth most within a budget.

    Args:
        worth: what labelled samples say, which a fresh head learned before.
        costs: of the schemes that can be chosen.
        lines: these as sums.
        options: that the model is compiled with.

    Attributes:
        values: of the schemes that can be chosen.
    """

    def __init__(self, worth: Worth, costs: Costs, lines: CostLines, options: Options) -> None:
        self.worth, self.costs, self._lines = worth, costs, lines
        *_, self._head = worth.layers
        is_adam = options.optimizer == "adam"
        self.values: SharedRate | Interference = SharedRate(costs.choices, worth, apart=is_adam)
        if worth.interference is not None and not is_adam:
            self.values = Interference(costs.choices, worth)

    @classmethod
    def of(
        cls,
        given: IntegerModel,
        options: Options,
        preprocess: Preprocess | None,
        target: Target,
    ) -> AutoScheme:
        """Of a model with labelled calibration samples.

        Raises:
            UsageError, DataError: there are no labelled samples.
        """
        samples = labelled_samples(
            given, options, preprocess, f"--scheme {AUTO}", "name a preset or a scheme file"
        )
        worth = worth_of(given.forward, options, samples, learned=True)
        costs = Costs(given.forward, options, target, given.quantized_samples())
        return cls(worth, costs, CostLines(costs), options)

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
        scheme = self._at_its_rate(replace(found.scheme, name=AUTO, choice="fisher"))
        record = self._record(found, budget.ram, scheme)
        return ChosenScheme(with_channels(scheme, self.worth), record)

    def _at_its_rate(self, scheme: Scheme) -> Scheme:
        """With the rates that it was valued at; the head alone has the suggested one."""
        values = self.values
        if not isinstance(values, Interference) or not scheme.trains_body:
            return scheme
        return replace(scheme, rate=values.rate, rates={self._head: values.of_head})

    def _best(self, limits: Mapping[str, int]) -> Chosen:
        """The set of most value that the planner finds to fit; the head where none is found.

        Beside a fresh head by single changes, and the bound is the best set without a budget. Else
        band by band, those first in which a set may win most, until none of the others can win more
        or the work is done. The set may then be worth less than the best, by the bound at most.
        """
        asked, choices, values = _Asked(self.costs.nodes), self.costs.choices, self.values
        best = Chosen(choices.scheme(0, {}), 0.0, 0.0, is_exact=False, rounds=1)
        if isinstance(values, Interference):
            solve = partial(_climbed, values, limits)
            best = self._corrected(solve, limits, asked) or best
            # With a budget a climb may end higher than without one.
            bound = max(values.whole, best.value)
            return replace(best, bound=bound, rounds=max(asked.rounds, 1))
        bands = sorted(self._bounds(values, limits), key=lambda one: -one[0])
        for bound, band in bands:
            if bound <= best.value or asked.is_over:
                break
            line, most = values.line(band)
            solve = partial(_solved, choices, values.values(band), {**limits, ENERGY: most}, line)
            found = self._corrected(solve, limits, asked)
            if found is not None and found.value > best.value:
                best = found
        bound = max([best.value, *(bound for bound, _ in bands)])
        exact = best.is_exact and bound <= best.value
        return replace(best, bound=bound, rounds=max(asked.rounds, 1), is_exact=exact)

    def _bounds(self, values: SharedRate, limits: Mapping[str, int]) -> list[tuple[float, Band]]:
        """Of each band what no set in it wins more than, by sums; without those that hold none."""
        found = []
        bands = values.bands()
        for band in bands:
            line, most = values.line(band)
            one = best_set(
                self.costs.choices,
                values.values(band),
                {**limits, ENERGY: most},
                [*self._lines.lines[:2], line],
                work=WORK / len(bands),
            )
            if one is not None:
                found.append((one.bound, band))
        return found

    def _corrected(self, solve: Solve, limits: Mapping[str, int], asked: _Asked) -> Chosen | None:
        """The set of most value that the planner finds to fit.

        Sums and planner may not come together: many sets are worth nearly the same, and each takes
        a little too much. After `PATIENT` rounds the sums have to leave something free, by
        bisection as little as is enough.
        """
        first, *others = self._lines.lines
        best, free, too_little, enough, fitted = None, 0, 0, 0, 0
        for rounds in range(1, ROUNDS + 1):
            found = solve([replace(first, fixed=first.fixed + free), *others, *asked.broken])
            before = self._lines.plans
            broken = [] if found is None else self._lines.check(found.scheme, limits)
            asked.plans += self._lines.plans - before
            asked.add(found, broken)
            if found is not None and not broken:
                count, ratios = self.costs.choices.picked(found.scheme)
                found = replace(found, value=self.values.gain(count, ratios))
                if best is None or found.value > best.value:
                    best = replace(found, is_exact=found.is_exact and free == 0)
            if found is None or not broken:
                enough, fitted = free, fitted + 1
            elif rounds >= PATIENT:
                too_little = free
            if (not free and not broken) or fitted > CLOSER or asked.is_over:
                break
            if fitted:
                free = (too_little + enough) // 2
            elif found is not None and rounds >= PATIENT:
                free = max(free + self._excess(found, broken, limits), 2 * free, limits[RAM] >> 6)
        return best

    def _excess(self, found: Chosen, broken: Sequence[Line], limits: Mapping[str, int]) -> int:
        """Bytes of RAM by which a set is above its limit."""
        count, ratios = self.costs.choices.picked(found.scheme)
        over = (line.sum(count, ratios) - limits[RAM] for line in broken if line.what == RAM)
        return max(over, default=0)

    def _record(self, found: Chosen, ram: int, scheme: Scheme) -> ChoiceRecord:
        choices, whole = self.costs.choices, max(self.values.whole, found.value)
        layers = tuple(self._layer(layer, found.scheme) for layer in choices.layers)
        return ChoiceRecord(
            samples=self.worth.samples,
            fresh_head=isinstance(self.values, Interference),
            ram=ram,
            value=_share(found.value / whole),
            bound=_share(found.bound / whole),
            exact=found.is_exact,
            checked=found.rounds,
            rate=scheme.rate,
            head_rate=scheme.rates.get(self._head, 1.0),
            layers=layers,
        )

    def _layer(self, layer: str, scheme: Scheme) -> LayerChoiceRecord:
        share = scheme.weights.get(layer)
        facts = self.worth.facts.get(layer)
        total = 1 if facts is None else facts.size.size
        added = None if share is None else self._lines.weights[layer, share.fraction]
        weights, bias = self.values.alone(layer)
        whole = self.values.whole
        return LayerChoiceRecord(
            layer=layer,
            value=_share((weights + bias) / whole),
            bias_value=_share(bias / whole),
            bias=layer in scheme.biases,
            channels=0 if share is None else channel_count(share, total),
            of=total,
            ram=0 if added is None else added.ram,
        )


def _climbed(
    values: Interference, limits: Mapping[str, int], lines: Sequence[Line]
) -> Chosen | None:
    found = climb(values.choices, values.gains, limits, lines)
    return None if found is None else Chosen(*found, found[1], is_exact=False, rounds=1)


def _solved(
    choices: Choices, values: Values, limits: Mapping[str, int], beside: Line, lines: list[Line]
) -> Chosen | None:
    return best_set(choices, values, limits, [*lines, beside], work=WORK)


def _share(value: float) -> float:
    return min(float(f"{value:.4g}"), 1.0)
