"""Every scheme that a search tried, what it takes and how good it was; and the best of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tinytrain.choosing.choices import scheme_key
from tinytrain.compiler.costs import Cost
from tinytrain.scheme.scheme import Scheme
from tinytrain.searches.measured import Marks
from tinytrain.searches.prices import Takes

PRESET, BESIDE, FOUND = "preset", "beside", "found"


@dataclass(frozen=True, eq=False)
class Tried:
    """A scheme that was measured.

    Attributes:
        scheme: under the name that people see.
        origin: `PRESET`, `BESIDE`, or how the search came upon it.
        takes: bytes of RAM in its smallest plan, instructions in its fastest.
        short: by short trainings.
        long: by long ones; None where it was not among the best.
        eval: by samples that the choice never saw; None where there are none.
        left: by the long ones after which it was left behind; None elsewhere.
        fitted: in the plan that the budget asks for; of the chosen one as its folder was built and
            measured; None where it was not looked at.
        gap: of a set from a knapsack, how far its value may be below the largest within its limits,
            as a share of the bound, 0 to 1; None where no bound is known.
    """

    scheme: Scheme
    origin: str
    takes: Takes
    short: Marks
    long: Marks | None = None
    eval: Marks | None = None
    left: Marks | None = None
    fitted: Cost | None = None
    gap: float | None = None

    @property
    def trainings(self) -> int:
        """How many stand behind it."""
        marks = (self.short, self.long, self.left, self.eval)
        return sum(len(one.losses) for one in marks if one is not None)

    @property
    def key(self) -> object:
        """What it trains: two schemes may have one name."""
        return scheme_key(self.scheme)

    @property
    def name(self) -> str:
        """Of the scheme."""
        return self.scheme.name


def ranked(tried: Sequence[Tried]) -> list[Tried]:
    """By the loss of the judges, the best first; of equals what takes less RAM."""
    return sorted(tried, key=lambda one: (one.short.loss, one.takes.ram, one.name))


def best(finalists: Sequence[Tried]) -> Tried:
    """Of those that trained longer the most accurate; of equals the one with the smaller loss."""

    return min(finalists, key=order)


def order(finalist: Tried) -> tuple[float, float, int, str]:
    """What sorts schemes that trained longer, the best first."""
    assert finalist.long is not None, finalist.name
    marks = finalist.long
    return (-marks.accuracy, marks.loss, finalist.takes.ram, finalist.name)


def pareto(points: Sequence[tuple[float, float]]) -> list[int]:
    """Of (cost, value) the indices that no other beats: by cost, each with more value than before.

    Of equal points the first stands for all.
    """
    order = sorted(range(len(points)), key=lambda k: (points[k][0], -points[k][1], k))
    front: list[int] = []
    for index in order:
        if not front or points[index][1] > points[front[-1]][1]:
            front.append(index)
    return front


def best_first(tried: Sequence[Tried], count: int) -> list[Tried]:
    """What is worth a look: what trained longer, the best first, then the rest by its loss."""
    longer = [one for one in tried if one.long is not None]
    longer.sort(key=lambda one: -one.long.accuracy if one.long else 0.0)
    presets = [one for one in tried if one.origin == PRESET and one.long is None]
    rest = [one for one in ranked(tried) if one.long is None and one.origin != PRESET]
    return [*longer, *rest[: max(count - len(longer), 0)], *presets]


def gap_text(one: Tried) -> str:
    """How far a set may be from the best of its kind."""
    if one.gap is None:
        return "no bound is known: it was not found by a knapsack"
    if one.gap == 0.0:
        return "no set that fits has more of the value that it was found by"
    return f"at most {one.gap:.1%} below the best set that fits, by the value that it was found by"


def spread_text(marks: Marks) -> str:
    """Accuracy and its spread, in per cent: 78.3 ± 0.2."""
    return f"{100 * marks.accuracy:.1f} ± {100 * marks.spread:.1f}"
