"""The set of choices of largest value within a budget, exact for costs that add up.

A multiple-choice knapsack: one number of last biases, one ratio of each layer. Bytes do not quite
add up, so what the solver finds is checked by whoever knows (the planner), who answers with a
`Line` that the set breaks, until both agree.

Sources: Kellerer, Pferschy and Pisinger, "Knapsack Problems", 2004, chapter 11, for the
multiple-choice knapsack; Perron and Didier, CP-SAT, in Google's OR-Tools, for the solver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinytrain.choosing.choices import Choices, Ratios
from tinytrain.scheme.scheme import Scheme
from tinytrain.solver import make_solver

_RESOLUTION = 1_000_000
"""Values are rounded to this share of the sum of the largest of each layer."""

WORK = 4.0
"""Limit of one run of the solver, in its deterministic seconds."""

_MOST_ROUNDS = 200
"""Sets that are checked for one budget at most."""


@dataclass(frozen=True, eq=False)
class Values:
    """What choices are worth, in any unit; values add up.

    Attributes:
        biases: of each layer's bias, by layer; 0 where absent.
        weights: of each layer and ratio above 0, by both; 0 where absent.
    """

    biases: Mapping[str, float]
    weights: Mapping[tuple[str, float], float]

    def of(self, layers: Sequence[str], ratios: Ratios) -> float:
        """Of biases of these layers and weights of these ratios together."""
        return sum(self.biases.get(layer, 0.0) for layer in layers) + sum(
            self.weights.get((layer, ratio), 0.0) for layer, ratio in ratios.items() if ratio
        )


@dataclass(frozen=True, eq=False)
class Line:
    """A sum that no scheme which fits may exceed, where the line holds for it.

    It holds for schemes whose number of biases is listed, and whose layers have the ratios given.

    Attributes:
        what: is summed: "ram" in bytes, "instructions", or "flash" in bytes.
        fixed: what every scheme takes.
        biases: what so many last biases add; also for which numbers the line holds.
        weights: what a layer at a ratio adds, by both; 0 where absent.
        given: ratios by layer.
    """

    what: str
    fixed: int
    biases: Mapping[int, int]
    weights: Mapping[tuple[str, float], int]
    given: Mapping[str, float] = field(default_factory=dict)

    def holds(self, count: int, ratios: Ratios) -> bool:
        """Whether it holds for a scheme."""
        same = all(ratios.get(layer, 0.0) == ratio for layer, ratio in self.given.items())
        return count in self.biases and same

    def sum(self, count: int, ratios: Ratios) -> int:
        """The sum for a scheme for which it holds."""
        added = (self.weights.get(item, 0) for item in ratios.items())
        return self.fixed + self.biases[count] + sum(added)


@dataclass(frozen=True)
class Chosen:
    """What the knapsack found.

    Attributes:
        scheme: of largest value among those that fit.
        value: of it.
        bound: no scheme is worth more by the first lines, before anything was checked.
        is_exact: whether the solver proved that there is none better by all lines.
        rounds: schemes that were checked.
        work: of the solver, in its deterministic seconds.
    """

    scheme: Scheme
    value: float
    bound: float
    is_exact: bool
    rounds: int
    work: float = 0.0

    @property
    def gap(self) -> float:
        """How far the value may be from the largest, as a share of the bound."""
        return 0.0 if self.bound <= 0.0 else max(0.0, 1.0 - self.value / self.bound)


Check = Callable[[Scheme], Sequence[Line]]
"""None where a scheme fits; else lines of which at least one shows that it does not."""


def best_set(
    choices: Choices,
    values: Values,
    limits: Mapping[str, int],
    lines: list[Line],
    check: Check = lambda scheme: (),
    work: float = WORK,
) -> Chosen | None:
    """The scheme of largest value whose sums keep all limits; None where not even the head does.

    Of equal values the scheme that takes less by the first line.

    Args:
        limits: by what is summed; what is missing has no limit.
        lines: known so far, the first ones for all schemes; what `check` answers is added, and
            holds for other limits and values too.
        check: says whether a scheme really fits.
        work: limit of each run of the solver, in its deterministic seconds; what it has by then is
            not proved to be best, and its bound says how far from that it may be.
    """
    done = 0.0
    bound: float | None = None
    for rounds in range(1, _MOST_ROUNDS + 1):
        found = _solve(choices, values, limits, lines, work)
        if found is None:
            return None
        count, ratios, most, is_exact, taken = found
        done += taken
        bound = most if bound is None else bound
        scheme = choices.scheme(count, ratios)
        broken = check(scheme)
        if not broken:
            value = values.of(scheme.biases, ratios)
            return Chosen(scheme, value, max(bound, value), is_exact, rounds, done)
        lines += broken
        kept = (
            line.sum(count, ratios) <= limits[line.what]
            for line in broken
            if line.what in limits and line.holds(count, ratios)
        )
        if all(kept):
            lines.append(_without(scheme, choices, limits))
    return None


def _without(scheme: Scheme, choices: Choices, limits: Mapping[str, int]) -> Line:
    """A line that a scheme breaks, and every one that has the same ratios and biases."""
    count, ratios = choices.picked(scheme)
    what, most = next(iter(limits.items()))
    counts = {more: 0 for more in choices.counts if more >= count}
    return Line(what, most + 1, counts, {}, ratios)


def _solve(
    choices: Choices,
    values: Values,
    limits: Mapping[str, int],
    lines: Sequence[Line],
    work: float,
) -> tuple[int, dict[str, float], float, bool, float] | None:
    """Number of biases, ratios, the solver's bound, whether they are proved best, and its work."""
    # Here, as it takes a third of a second, and most compilations need it not.
    from ortools.sat.python import cp_model

    problem = _Problem(cp_model, choices)
    for line in lines:
        if line.what in limits:
            problem.hold(line, limits[line.what])
    unit = problem.maximize(values, next((line for line in lines if line.what in limits), None))
    solver = make_solver(work)
    status = solver.solve(problem.model)
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None
    count, ratios = problem.picked(solver)
    bound, taken = solver.best_objective_bound * unit, solver.response_proto.deterministic_time
    return count, ratios, bound, status == cp_model.OPTIMAL, taken


class _Problem:
    """A knapsack: one variable of all numbers of biases is true, and one of each layer's ratios."""

    def __init__(self, cp_model: Any, choices: Choices) -> None:
        self.model = cp_model.CpModel()
        self._choices = choices
        self._counts = {count: self.model.new_bool_var(f"b{count}") for count in choices.counts}
        self.model.add_exactly_one(self._counts.values())
        self._picked: dict[tuple[str, float], Any] = {}
        for layer, possible in choices.ratios.items():
            picked = {ratio: self.model.new_bool_var(f"{layer}_{ratio}") for ratio in possible}
            self.model.add_exactly_one(picked.values())
            self._picked |= {(layer, ratio): each for ratio, each in picked.items()}
            near = [each for n, each in self._counts.items() if n < choices.reach(layer)]
            # Weights train where the layer's own bias does.
            self.model.add(sum(near) <= picked[0.0])

    def hold(self, line: Line, most: int) -> None:
        """Keeps the sum of a line within a limit, where it holds."""
        terms = [self._counts[n] * added for n, added in line.biases.items() if added]
        terms += [self._picked[item] * added for item, added in line.weights.items() if added]
        kept = self.model.add(sum(terms) + line.fixed <= most)
        where = [self._picked[item] for item in line.given.items()]
        if len(line.biases) < len(self._counts):
            holds = self.model.new_bool_var("")
            others = [each for n, each in self._counts.items() if n not in line.biases]
            self.model.add(sum(others) == 1 - holds)
            where.append(holds)
        if where:
            kept.only_enforce_if(where)

    def maximize(self, values: Values, line: Line | None) -> float:
        """The value, and less of a line among equals; what one unit of the objective is worth."""
        layers = self._choices.layers
        worth = [
            (each, sum(values.biases.get(layer, 0.0) for layer in layers[len(layers) - n :]))
            for n, each in self._counts.items()
        ]
        worth += [(self._picked[item], value) for item, value in values.weights.items()]
        most = sum(abs(value) for _, value in worth) or 1.0
        taken: list[tuple[Any, int]] = []
        if line is not None:
            taken = [(self._counts[n], added) for n, added in line.biases.items()]
            taken += [(self._picked[item], added) for item, added in line.weights.items()]
        scale = sum(abs(added) for _, added in taken) + 1
        self.model.maximize(
            sum(each * (round(value / most * _RESOLUTION) * scale) for each, value in worth)
            - sum(each * added for each, added in taken)
        )
        return most / _RESOLUTION / scale

    def picked(self, solver: Any) -> tuple[int, dict[str, float]]:
        """What a solution picks."""
        count = next(n for n, each in self._counts.items() if solver.value(each))
        chosen = [item for item, each in self._picked.items() if item[1] and solver.value(each)]
        return count, dict(chosen)
