"""What can be chosen of a model: how many biases, and of each layer which ratio of its weights.

A candidate is a `Scheme`. Biases are those of the last layers, as many as a number says, and the
weights that train belong to layers whose bias trains: a gradient that comes so far leaves the
gradient of a bias at no cost but its four bytes a channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tinytrain.autodiff.derivatives import DERIVATIVES
from tinytrain.errors import ModelError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import traits_of
from tinytrain.passes.select_trainable import channel_multiple, weighted_layers
from tinytrain.scheme.channels import channel_count
from tinytrain.scheme.scheme import Scheme, Share

RATIOS = (0.0, 0.125, 0.25, 0.5, 1.0)
"""Shares of a layer's input channels that are tried; 0 freezes its weights."""

Ratios = Mapping[str, float]
"""By layer; 0 where absent."""


@dataclass(frozen=True, eq=False)
class Choices:
    """The schemes that can be chosen.

    Attributes:
        layers: those with weights in execution order, the head left out.
        counts: numbers of last biases that may train, ascending.
        ratios: of each layer whose weights may train, ascending, 0 first; without those that train
            no more channels than the one before.
        choice: how channels are chosen, a word of `scheme.ways.WAYS`.
        name: of the schemes.
    """

    layers: tuple[str, ...]
    counts: tuple[int, ...]
    ratios: Mapping[str, tuple[float, ...]]
    choice: str = "largest"
    name: str = "found"

    @classmethod
    def of(cls, forward: Graph, *, fed: bool = False, choice: str = "largest") -> Choices:
        """What a model leaves to choose.

        Args:
            forward: s8, with the head that trains.
            fed: the rows of the input arrive one after another, so the first layer is frozen.
            choice: how channels are chosen.
        """
        layers = tuple(weighted_layers(forward)[:-1])
        nodes = {node.layer: node for node in forward.nodes if traits_of(node).has_weights}
        open_layers = trainable_layers(forward) - (_fed_layers(forward) if fed else set())
        closed = [k for k, layer in enumerate(layers) if layer not in open_layers]
        first = max(closed, default=-1) + 1
        read: set[str] = set()
        ratios = {}
        for layer in layers:
            weights = nodes[layer].inputs[1].name
            # Layers that share weights train together: the first of them stands for all.
            if weights not in read and layer in layers[first:]:
                ratios[layer] = _distinct(nodes[layer])
            read.add(weights)
        return cls(layers, tuple(range(len(layers) - first + 1)), ratios, choice)

    def reach(self, layer: str) -> int:
        """How many last biases train at least where this layer's does."""
        return len(self.layers) - self.layers.index(layer)

    def scheme(self, biases: int, ratios: Ratios) -> Scheme:
        """The scheme of so many last biases and these ratios."""
        chosen = {
            layer: Share(ratios[layer]) for layer in self.layers if ratios.get(layer, 0.0) > 0.0
        }
        last = self.layers[len(self.layers) - biases :]
        return Scheme(self.name, last, chosen, self.choice)

    def picked(self, scheme: Scheme) -> tuple[int, dict[str, float]]:
        """The number of last biases and the ratios of a scheme; the inverse of `scheme`.

        Raises:
            ModelError: it is none of these schemes.
        """
        ratios = {layer: share.fraction for layer, share in scheme.weights.items()}
        known = all(ratio in self.ratios.get(layer, ()) for layer, ratio in ratios.items())
        listed = any(share.channels is not None for share in scheme.weights.values())
        count = len(scheme.biases)
        if listed or not known or scheme.biases != self.layers[len(self.layers) - count :]:
            raise ModelError(
                f"scheme '{scheme.name}' is none of those that can be chosen",
                help="its biases have to be the last ones, its ratios those that are tried",
            )
        return count, ratios

    def raised(self, scheme: Scheme) -> Iterator[tuple[str, float, Scheme]]:
        """Every scheme that trains one more ratio of one layer: the layer, the ratio, the scheme.

        Biases follow where the layer's own is not trained yet.
        """
        count, ratios = self.picked(scheme)
        for layer, possible in self.ratios.items():
            for ratio in possible:
                if ratio > ratios.get(layer, 0.0):
                    grown = self.scheme(max(count, self.reach(layer)), {**ratios, layer: ratio})
                    yield layer, ratio, grown


def scheme_key(scheme: Scheme) -> tuple[object, ...]:
    """What tells schemes apart that train different things, whatever their names are."""
    weights = tuple(sorted(scheme.weights.items(), key=lambda item: item[0]))
    rates = tuple(sorted(scheme.rates.items()))
    return scheme.biases, weights, scheme.choice, rates, scheme.rate, scheme.trains_head


def trainable_layers(forward: Graph) -> set[str]:
    """The layers with weights that a gradient reaches: all behind them has a derivative."""
    reached = set(forward.outputs)
    found = set()
    for node in reversed(forward.nodes):
        if not reached.isdisjoint(node.outputs) and (
            (traits_of(node).trained_as or node.op) in DERIVATIVES or traits_of(node).same_bytes
        ):
            reached.update(node.inputs)
            if traits_of(node).has_weights:
                found.add(node.layer)
    return found


def _fed_layers(forward: Graph) -> set[str]:
    """The layers up to the last one that reads the input, which rows are fed to."""
    inputs = set(forward.inputs)
    last = max(
        (k for k, node in enumerate(forward.nodes) if not inputs.isdisjoint(node.inputs)), default=0
    )
    return {node.layer for node in forward.nodes[: last + 1] if traits_of(node).has_weights}


def _distinct(node: Node) -> tuple[float, ...]:
    """The ratios that train different numbers of a layer's input channels."""
    weights = node.inputs[1].type
    multiple = channel_multiple(node)
    total = weights.shape[3] if multiple is None else weights.shape[0] // multiple
    found: dict[int, float] = {}
    for ratio in reversed(RATIOS[1:]):
        found.setdefault(channel_count(Share(ratio), total), ratio)
    return 0.0, *sorted(found.values())
