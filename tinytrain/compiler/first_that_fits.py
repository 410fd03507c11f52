"""The best scheme that really fits, where the linker finds more than was planned."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinytrain.compiler.auto_scheme import AutoScheme, ChosenScheme
from tinytrain.compiler.budget import Budget
from tinytrain.errors import BudgetError
from tinytrain.scheme.scheme import Scheme

MARGINS = (0, 64, 512, 4096)
"""Bytes that are left free, one after the other, where the linker finds that a scheme takes more
than was planned: its stack may be deeper."""

Made = TypeVar("Made")


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
