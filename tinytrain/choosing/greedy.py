"""Grows a scheme choice by choice, each time by the one that gains most a byte, as measured.

Gains do not add up, so what is left is measured again after each pick; but only what may be picked:
the choice that promises most is measured until it holds what it promises. What promises come to is
learned on the way (`Saturation`).

Sources: Minoux, "Accelerated Greedy Algorithms for Maximizing Submodular Set Functions", 1978, for
measuring lazily; Leskovec et al., "Cost-effective Outbreak Detection in Networks", KDD 2007, for
gains a byte, and for the better of that and of plain gains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from tinytrain.choosing.saturation import Choice, Saturation
from tinytrain.scheme.scheme import Scheme

Moves = Callable[[Scheme], Iterable[tuple[str, float, Scheme]]]
"""The schemes that train one choice more than a scheme, each with its layer and ratio."""

_LEAST_BYTES = 256
"""What a move counts for at least: of moves that cost nothing, the one that gains most is first."""


@dataclass(frozen=True)
class Pick:
    """A scheme that was grown by one choice.

    Attributes:
        scheme: with everything that was picked so far.
        choice: what was picked last; None at the start.
        value: measured.
        gain: what the choice added to the value.
        cost: bytes of RAM, as it was asked for.
        measured: schemes that were measured for this pick.
    """

    scheme: Scheme
    choice: Choice | None
    value: float
    gain: float
    cost: int
    measured: int


# house(parameters): what a search is made of
def grow(
    start: Scheme,
    moves: Moves,
    measure: Callable[[Scheme], float],
    cost: Callable[[Scheme], int],
    budget: int,
    prior: Mapping[Choice, float],
    *,
    fits: Callable[[Scheme], bool] = lambda scheme: True,
    per_byte: bool = True,
    first: int = 12,
    most: int = 4,
) -> Iterator[Pick]:
    """Schemes that grow until nothing that fits gains anything.

    Args:
        start: the first; it is measured too.
        moves: of a scheme, as `Choices.raised`.
        measure: the value of a scheme: the higher the better.
        cost: bytes of RAM, estimated fast.
        budget: the most of them.
        prior: what each choice is expected to gain, in any unit.
        fits: whether a scheme really keeps the budget; asked before it is measured.
        per_byte: whether gains a byte decide, or gains.
        first: schemes that are measured for the first pick at least: by then no prior is trusted.
        most: schemes that are measured for every other pick at most.
    """
    model = Saturation(prior)
    base = value = measure(start)
    spent = cost(start)
    yield Pick(start, None, value, 0.0, spent, 1)
    scheme, held = start, {name: share.fraction for name, share in start.weights.items()}
    least, limit = first, max(first, most)
    while True:
        picked = _Round(model, value, value - base, held)
        open_moves = [
            _Move((layer, ratio), grown, needed, max(needed - spent, _LEAST_BYTES))
            for layer, ratio, grown in moves(scheme)
            if (needed := cost(grown)) <= budget
        ]
        best = picked.search(open_moves, measure, fits, per_byte=per_byte, span=(least, limit))
        least, limit = 1, most
        if best is None:
            return
        move, gain = best
        scheme, value, spent = move.scheme, value + gain, move.cost
        held[move.choice[0]] = move.choice[1]
        yield Pick(scheme, move.choice, value, gain, spent, picked.measured)


@dataclass(frozen=True, eq=False)
class _Move:
    """A choice more: the scheme with it, what that costs, and the bytes that it counts for."""

    choice: Choice
    scheme: Scheme
    cost: int
    added: int


class _Round:
    """The search for one pick.

    Args:
        value: of the scheme so far.
        gained: what of it was gained since the start.
        held: the ratio of each layer that trains.

    Attributes:
        measured: schemes that were.
    """

    def __init__(
        self, model: Saturation, value: float, gained: float, held: Mapping[str, float]
    ) -> None:
        self._model, self._value, self._gained, self._held = model, value, gained, held
        self._known: dict[Choice, float] = {}
        self.measured = 0

    def search(
        self,
        moves: list[_Move],
        measure: Callable[[Scheme], float],
        fits: Callable[[Scheme], bool],
        *,
        per_byte: bool,
        span: tuple[int, int],
    ) -> tuple[_Move, float] | None:
        """The move of largest measured gain (a byte), and the gain; None if nothing gains.

        Args:
            span: of moves that are measured, the least and the most.
        """
        least, most = span

        def rate(move: _Move) -> float:
            return self._gain(move.choice) / (move.added if per_byte else 1)

        while moves:
            unknown = [each for each in moves if each.choice not in self._known]
            # Before anything is known, one ratio of each layer is tried first.
            layers = {layer for layer, _ in self._known}
            new = [each for each in unknown if each.choice[0] not in layers]
            trying = (new or unknown) if self.measured < least else moves
            if not trying:
                break
            move = max(trying, key=rate)
            if rate(move) <= 0.0 or move.choice in self._known:
                break
            if self.measured >= most and any(gain > 0.0 for gain in self._known.values()):
                moves = [each for each in moves if each.choice in self._known]
            elif fits(move.scheme):
                self._learn(move.choice, measure(move.scheme) - self._value)
            else:
                moves = [each for each in moves if each is not move]
        gaining = [move for move in moves if self._known.get(move.choice, 0.0) > 0.0]
        if not gaining:
            return None
        best = max(gaining, key=rate)
        return best, self._known[best.choice]

    def _gain(self, choice: Choice) -> float:
        """What a choice adds: as it was measured, or else as it is expected."""
        if choice in self._known:
            return self._known[choice]
        return self._model.expect(choice, self._gained) - self._already(choice[0])

    def _learn(self, choice: Choice, gain: float) -> None:
        self._known[choice] = gain
        self.measured += 1
        self._model.learn(choice, self._gained, gain + self._already(choice[0]))

    def _already(self, layer: str) -> float:
        """What a layer adds at the ratio that it trains at already."""
        held = self._held.get(layer, 0.0)
        return self._model.expect((layer, held), self._gained) if held else 0.0
