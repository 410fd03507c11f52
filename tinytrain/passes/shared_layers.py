"""Which layers share their weights or their bias: what a scheme says of one holds for all."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from tinytrain.errors import SchemeError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.scheme.scheme import Share


class SharedLayers:
    """The layers of an s8 forward graph by the constants that they read."""

    def __init__(self, graph: Graph) -> None:
        self._producers = graph.producers()
        self._weights: dict[Value, list[str]] = {}
        self._biases: dict[Value, list[str]] = {}
        for node in graph.nodes:
            if traits_of(node).has_weights:
                self._weights.setdefault(node.inputs[1], []).append(node.layer)
                self._biases.setdefault(self._bias(node), []).append(node.layer)

    def _bias(self, node: Node) -> Value:
        bias = node.inputs[2]
        producer = self._producers.get(bias)
        return bias if producer is None else producer.inputs[0]

    def weights(self, chosen: Mapping[str, Share]) -> dict[str, Share]:
        """What is trained of each layer's weights.

        Raises:
            SchemeError: the scheme says different things of layers that share them.
        """
        found = {}
        for layers in self._weights.values():
            shares = {layer: chosen[layer] for layer in layers if layer in chosen}
            if len(set(shares.values())) > 1:
                raise SchemeError(
                    f"layers {', '.join(layers)} share their weights, and the scheme trains "
                    "different parts of them",
                    help="give one of them, or the same share to each; the head trains whole",
                )
            found.update(dict.fromkeys(layers, next(iter(shares.values()))) if shares else {})
        return found

    def biases(self, chosen: Collection[str]) -> set[str]:
        """The layers whose bias is trained."""
        groups = self._biases.values()
        return {layer for layers in groups if not {*layers}.isdisjoint(chosen) for layer in layers}
