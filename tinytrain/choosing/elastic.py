"""The tensors of most value that train within a time, where what lies deeper costs more.

Training a layer costs its own gradients, and the input gradients of everything behind it, which
all deeper layers share. ElasticTrainer (Huang, Yang and Gao, MobiSys 2023) chooses by dynamic
programming from the output back, and values a tensor by how far its updates lower the loss, to
first order: minus the sum of dL/dw · dw. A step of SGD at rate r on N samples has dw = -r · dL/dw,
so that the value is r times the squared mean gradient: `fisher.Worth.descent`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tinytrain.choosing.fisher import Worth

RESOLUTION = 8192
"""Time is counted in this part of the budget, rounded up: what is found never takes more."""


@dataclass(frozen=True)
class Offer:
    """A part of a layer's weights that may train: its value, and the instructions that it adds."""

    ratio: float
    value: float
    instructions: int


@dataclass(frozen=True)
class Stop:
    """A layer that the backward pass may come to.

    Attributes:
        value: of its bias, which trains wherever the gradient comes.
        instructions: that bring the gradient here from the layer behind, its bias included.
        offers: of its weights, of which at most one is taken.
    """

    layer: str
    value: float
    instructions: int
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True)
class Reached:
    """The best within a time.

    Attributes:
        count: layers that the backward pass comes to, from the last one back.
        ratios: of each layer whose weights train.
        value, instructions: of all that.
    """

    count: int = 0
    ratios: Mapping[str, float] = field(default_factory=dict)
    value: float = 0.0
    instructions: int = 0


def best_within(stops: Sequence[Stop], budget: int) -> Reached:
    """The choice of most value within a budget of instructions beyond those of the head alone.

    Time is rounded up for each layer to a part of `RESOLUTION`; but for that it is exact. Of equal
    values the one that takes less.

    Args:
        stops: from the last layer before the head back to the first.
    """
    unit = max(1, -(-budget // RESOLUTION))
    most = budget // unit
    # By time, in units: the value, the instructions and the choices that led there.
    states = {0: _Path(0.0, 0, None)}
    best = (0, states[0])
    for count, stop in enumerate(stops, 1):
        found: dict[int, _Path] = {}
        for time, state in states.items():
            for value, instructions, offer in _ways(stop):
                at = time - (-instructions // unit)
                if at > most:
                    continue
                reached = _Path(
                    state.value + value,
                    state.instructions + instructions,
                    (stop.layer, offer.ratio, state.chosen) if offer else state.chosen,
                )
                known = found.get(at)
                if known is None or reached.is_better(known):
                    found[at] = reached
        states = _undominated(found)
        for state in states.values():
            if state.is_better(best[1]):
                best = (count, state)
        if not states:
            break
    count, state = best
    return Reached(count, dict(state.ratios()), state.value, state.instructions)


def descent_of(worth: Worth, layer: str, ratio: float) -> float:
    """What ElasticTrainer values the weights of a layer at, of which a ratio of the channels, the
    best ones, train: of the whole layer's squared gradient the share that Fisher gives them."""
    return worth.descent[layer][0] * worth.share(layer, ratio) if layer in worth.descent else 0.0


_Chosen = tuple[str, float, "_Chosen | None"]


@dataclass(frozen=True)
class _Path:
    value: float
    instructions: int
    chosen: _Chosen | None

    def is_better(self, other: _Path) -> bool:
        return (self.value, -self.instructions) > (other.value, -other.instructions)

    def ratios(self) -> Iterator[tuple[str, float]]:
        chosen = self.chosen
        while chosen is not None:
            layer, ratio, chosen = chosen
            yield layer, ratio


def _ways(stop: Stop) -> Iterator[tuple[float, int, Offer | None]]:
    yield stop.value, stop.instructions, None
    for offer in stop.offers:
        yield stop.value + offer.value, stop.instructions + offer.instructions, offer


def _undominated(states: Mapping[int, _Path]) -> dict[int, _Path]:
    """Without those that take as long as others and are worth no more."""
    kept: dict[int, _Path] = {}
    best: _Path | None = None
    for time in sorted(states):
        if best is None or states[time].value > best.value:
            best = kept[time] = states[time]
    return kept
