"""The refusal of a budget that not even the head alone keeps.

The planner's figures of a scheme may be some hundred bytes off, as its stack and its code are those
of another. So they refuse nothing: where a limit is near, the head's folder is built and measured.
"""

from __future__ import annotations

from dataclasses import replace

from tinytrain.compiler.budget import UNITS, Budget
from tinytrain.compiler.costs import Costs
from tinytrain.errors import BudgetError

ROOM = 1.25
"""Estimates that a limit holds so many times are not built: flash is a quarter off at most."""


def check_head(costs: Costs, budget: Budget) -> None:
    """Refuses one that not even the head alone keeps.

    Raises:
        BudgetError: says what it takes, of RAM in its smallest plan.
    """
    head = costs.choices.scheme(0, {})
    planned = costs.of(head, budget.ram)
    ram, flash = int(ROOM * planned.ram), int(ROOM * planned.flash)
    if budget.hold(replace(planned, ram=ram, flash=flash)):
        return
    found = costs.measured(head, budget.ram)
    for name in budget.exceeded(found):
        needed, limit = getattr(found, name), getattr(budget, name)
        instead = "take a smaller input or model"
        if name == "ram" and (fed := costs.fed_ram(head)) is not None and fed < needed:
            instead = f"feed the input row by row (--feed rows), which takes about {fed:,}"
        raise BudgetError(
            f"nothing fits: the head alone takes {needed:,} {UNITS[name]}, {needed - limit:,} more "
            f"than the {limit:,} that there are",
            help=f"give --{name} {needed} or more, or {instead}",
        )
