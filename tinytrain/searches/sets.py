"""Sets of layers and ratios that are worth most within a budget, by one way to value them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from tinytrain.choosing.elastic import Offer, Stop, best_within, descent_of
from tinytrain.choosing.fisher import Worth
from tinytrain.choosing.knapsack import Chosen, Values, best_set
from tinytrain.compiler.budget import Budget
from tinytrain.compiler.cost_lines import INSTRUCTIONS, RAM, CostLines
from tinytrain.compiler.costs import Cost, Costs
from tinytrain.ir.operations import macs_of, traits_of
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches.prices import Takes
from tinytrain.searches.store import Store, key_of

KIND = "sets"

ROUNDS = 6
"""Sets that the planner is asked about, for one budget and one way to value, at most."""

Price = Callable[[Scheme], Takes | Cost]
"""What a scheme takes."""


@dataclass(frozen=True)
class BestSet:
    """What a knapsack found.

    Attributes:
        scheme: of most value among those that fit.
        gap: how far its value may be from the largest, as a share of the bound.
    """

    scheme: Scheme
    gap: float


class Sets:
    """Knapsacks behind a store.

    Args:
        costs: of the model on its target.
    """

    def __init__(self, costs: Costs, store: Store) -> None:
        self._costs, self._store = costs, store

    @cached_property
    def lines(self) -> CostLines:
        """Costs as sums."""
        return CostLines(self._costs)

    @cached_property
    def sizes(self) -> tuple[dict[str, int], dict[str, int]]:
        """Of each layer with weights their number, and its multiplications."""
        weights: dict[str, int] = {}
        macs: dict[str, int] = {}
        for node in self._costs.selected(Scheme("head")).nodes:
            if traits_of(node).has_weights:
                weights[node.layer] = node.inputs[1].type.size
                macs[node.layer] = max(macs_of(node), 1)
        return weights, macs

    def times(self, count: int) -> list[int]:
        """So many numbers of instructions, evenly spread from those of the head alone to those of
        everything, without the first."""
        _, steps = self.lines.lines[:2]
        most = {layer: ratios[-1] for layer, ratios in self._costs.choices.ratios.items()}
        least = steps.fixed
        beyond = steps.sum(self._costs.choices.counts[-1], most) - least
        return [least + beyond * k // count for k in range(1, count + 1)]

    def in_time(self, name: str, worth: Worth, instructions: int) -> Scheme:
        """The set that lowers the loss most in a step that takes no more, whatever RAM it takes."""
        choices, lines = self._costs.choices, self.lines
        stops = []
        for count in choices.counts[1:]:
            layer = choices.layers[-count]
            way = lines.biases[count].instructions - lines.biases[count - 1].instructions
            offers = tuple(
                Offer(ratio, descent_of(worth, layer, ratio), added)
                for ratio in choices.ratios.get(layer, ())[1:]
                if (added := lines.weights[layer, ratio].instructions) > 0
            )
            bias = worth.descent.get(layer, (0.0, 0.0))[1]
            stops.append(Stop(layer, bias, max(way, 0), offers))
        found = best_within(stops, max(instructions - lines.lines[1].fixed, 0))
        return replace(choices.scheme(found.count, found.ratios), name=name)

    def best(
        self, name: str, values: Values, limits: Budget, price: Price, by: str
    ) -> BestSet | None:
        """The set of most value; None where none was found that keeps the limits.

        Sums are below what the planner says. What it says more is taken off the budget of the
        sums, until the set fits.

        Args:
            name: of the scheme.
            price: of a scheme, as far as it has to be known for these limits.
            by: names what the price goes by.
        """
        weights = sorted((layer, ratio, value) for (layer, ratio), value in values.weights.items())
        asked = (limits.ram, limits.instructions, by)
        key = key_of(sorted(values.biases.items()), weights, asked)
        known = self._store.read(KIND, key)
        if known is None:
            known = self._found(values, limits, price)
            self._store.keep(KIND, key, name, known)
        if known["biases"] is None:
            return None
        ratios = {str(layer): float(ratio) for layer, ratio in known["ratios"].items()}
        scheme = self._costs.choices.scheme(int(known["biases"]), ratios)
        return BestSet(replace(scheme, name=name), float(known["gap"]))

    def _found(self, values: Values, limits: Budget, price: Price) -> dict[str, Any]:
        held = {RAM: limits.ram}
        if limits.instructions is not None:
            held[INSTRUCTIONS] = limits.instructions
        bound: float | None = None
        for _ in range(ROUNDS):
            found = best_set(self._costs.choices, values, held, list(self.lines.lines[:2]))
            if found is None:
                break
            bound = found.bound if bound is None else bound
            over = _over(price(found.scheme), limits)
            if not any(over.values()):
                return self._record(found, bound)
            held = {what: most - over[what] for what, most in held.items()}
        return {"biases": None}

    def _record(self, found: Chosen, bound: float) -> dict[str, Any]:
        count, ratios = self._costs.choices.picked(found.scheme)
        gap = max(0.0, 1.0 - found.value / bound) if bound > 0.0 else 0.0
        return {"biases": count, "ratios": ratios, "gap": float(f"{gap:.4g}")}


def _over(cost: Takes | Cost, limits: Budget) -> dict[str, int]:
    """By how much a set is beyond its limits."""
    most = cost.instructions if limits.instructions is None else limits.instructions
    return {
        RAM: max(cost.ram - limits.ram, 0),
        INSTRUCTIONS: max(cost.instructions - most, 0),
    }
