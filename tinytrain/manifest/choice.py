"""What the manifest says of a scheme that the compiler chose."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.records import Share
from tinytrain.manifest.schema import Above, Count, Positive, Whole


@dataclass(frozen=True, kw_only=True)
class LayerChoiceRecord:
    """A layer that could be chosen, and what was chosen of it.

    Attributes:
        layer: name of the layer.
        value: what its weights and bias would win at a rate of their own, as a share of what all
            layers would; beside a fresh head what they add to the biases behind it, as a share of
            the best set, 1 at most.
        bias_value: value of its bias, likewise.
        bias: whether its bias trains.
        channels: number of input channels whose weights train.
        of: number of input channels.
        ram: bytes of RAM that these weights add, in parameters and in activations that wait.
    """

    layer: str
    value: Share
    bias_value: Share
    bias: bool
    channels: Count
    of: Positive
    ram: Count


@dataclass(frozen=True, kw_only=True)
class ChoiceRecord:
    """How the update scheme was chosen (docs/choosing.md).

    Attributes:
        samples: number of labelled calibration samples that values were measured on.
        fresh_head: whether sets were valued beside a head that was fresh (docs/choosing.md).
        ram: bytes of RAM that it was chosen for.
        value: what the scheme wins at one rate, as a share of what all layers before the head would
            win, each at a rate of its own; beside a fresh head, of the best set without a budget.
        bound: share that no scheme within the budget exceeds; 1 beside a fresh head, where that is
            not known.
        exact: whether the solver proved that no other scheme is worth more.
        checked: number of schemes that the planner was asked about.
        rate: what the suggested learning rate was multiplied by.
        head_rate: what that of the head was multiplied by beside it.
        layers: the layers before the head.
    """

    samples: Positive
    fresh_head: bool
    ram: Positive
    value: Share
    bound: Share
    exact: bool
    checked: Annotated[int, Whole(1, 2**31)]
    rate: Annotated[float, Above(0)]
    head_rate: Annotated[float, Above(0)]
    layers: tuple[LayerChoiceRecord, ...]

    def sentence(self) -> str:
        """What a person is told."""
        biases = sum(layer.bias for layer in self.layers)
        weights = [layer for layer in self.layers if layer.channels]
        chosen = ["the head"]
        if biases:
            chosen.append(f"{biases} of {len(self.layers)} biases")
        if weights:
            whole = sum(layer.channels == layer.of for layer in weights)
            part = len(weights) - whole
            counts = [f"{whole} whole" if whole else "", f"{part} in part" if part else ""]
            chosen.append(f"weights of {len(weights)} layers ({', '.join(filter(None, counts))})")
        most = f"no scheme that fits has more than {self.bound:.1%}"
        if self.exact and self.bound <= self.value:
            most = "no scheme that fits has more"
        if (self.rate, self.head_rate) != (1.0, 1.0):
            chosen.append(f"at {self.rate:g} times the suggested rate")
            chosen.append(f"the head {self.head_rate:g} times as fast again")
        found = f"{', '.join(chosen)}, for {self.ram:,} bytes of RAM: {self.value:.1%} of what the "
        if self.fresh_head:
            return (
                f"{found}best set without a budget is worth, by what {self.samples} labelled "
                "samples do to each other's loss"
            )
        return (
            f"{found}layers before the head would win, each at a rate of its own, by the "
            f"gradients of {self.samples} labelled samples; {most}"
        )
