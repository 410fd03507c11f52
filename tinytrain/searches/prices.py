"""What schemes take, asked of the planner once and kept in the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from tinytrain.compiler.budget import Budget
from tinytrain.compiler.costs import Cost, Costs
from tinytrain.kernel.choose import choose_kernels
from tinytrain.scheme.scheme import Scheme
from tinytrain.scheme.text import scheme_text
from tinytrain.searches.store import Store, key_of

PLANS, NEEDS = "plans", "needs"
"""Kinds of facts: what the planner comes to, and what is known without it."""

ORDER = 1.05
"""By so much a better order of the nodes may lower what a scheme needs, about."""


@dataclass(frozen=True)
class Takes:
    """What any plan of a scheme takes, fast to find: nothing is placed.

    Attributes:
        ram: bytes that the smallest plan comes to, everything counted, but for gaps in its arena.
        instructions: of a step in the fastest plan, as estimated.
        trained: bytes of parameters.
    """

    ram: int
    instructions: int
    trained: int


def may_hold(limits: Budget, takes: Takes) -> bool:
    """Whether the planner has to be asked; where not, nothing fits."""
    fast = limits.instructions is None or takes.instructions <= limits.instructions
    return fast and takes.ram <= limits.ram * ORDER


class Prices:
    """`Costs` behind a store.

    Args:
        costs: of the model on its target.
    """

    def __init__(self, costs: Costs, store: Store) -> None:
        self._costs = costs
        self._store = store

    def takes(self, scheme: Scheme) -> Takes:
        """Without the planner."""
        key = key_of(scheme_text(scheme))
        known = self._store.read(NEEDS, key)
        if known is None:
            takes = self._takes(scheme)
            self._store.keep(NEEDS, key, scheme.name, asdict(takes))
            return takes
        return Takes(**_numbers(known))

    def within(self, scheme: Scheme, limits: Budget) -> Cost | None:
        """In the plan that RAM asks for; None where no plan keeps the limits."""
        if not may_hold(limits, self.takes(scheme)):
            return None
        found = self.planned(scheme, limits.ram)
        return found if limits.hold(found) else None

    def planned(self, scheme: Scheme, ram: int) -> Cost:
        """In the fastest plan within so many bytes; where there is none, in the smallest."""
        key = key_of(scheme_text(scheme), ram)
        known = self._store.read(PLANS, key)
        if known is None:
            cost = self._costs.of(scheme, ram)
            self._store.keep(PLANS, key, scheme.name, asdict(cost))
            return cost
        return Cost(**_numbers(known))

    def _takes(self, scheme: Scheme) -> Takes:
        graph = self._costs.in_plain_order(scheme)
        kernels = choose_kernels(graph, self._costs.isa)
        return Takes(
            self._costs.least(scheme).ram,
            sum(choice.cost for choice in kernels.values()),
            sum(data.nbytes for data in graph.parameters.values()),
        )


def _numbers(known: Mapping[str, object]) -> dict[str, int]:
    return {name: int(str(value)) for name, value in known.items() if name != "title"}
