"""Which layers of a model can be trained at all."""

from __future__ import annotations

from tinytrain.autodiff.derivatives import DERIVATIVES
from tinytrain.ir.graph import Graph, Value, needed_for
from tinytrain.ir.operations import traits_of
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.passes.shared_layers import SharedLayers
from tinytrain.scheme.scheme import Share


def trainable_layers(graph: Graph) -> list[str]:
    """Layers with weights whose gradient reaches them, in execution order.

    Everything between such a layer and the output has a derivative, and so it is with every layer
    that shares its weights or its bias.

    Args:
        graph: an s8 forward graph.
    """
    reached = _reached(graph)
    shared = SharedLayers(graph)

    def together(layer: str) -> set[str]:
        return {*shared.weights({layer: Share()}), *shared.biases([layer])}

    return [layer for layer in weighted_layers(graph) if together(layer) <= reached]


def _reached(graph: Graph) -> set[str]:
    """Layers behind whose output no operation lacks a derivative."""
    nodes, _ = needed_for(graph, graph.outputs)
    blocked: set[Value] = set()
    found = set()
    for node in reversed(nodes):
        passes = (traits_of(node).trained_as or node.op) in DERIVATIVES
        blocks = not passes or not blocked.isdisjoint(node.outputs)
        if blocks:
            blocked.update(node.inputs)
        elif traits_of(node).has_weights:
            found.add(node.layer)
    return found
