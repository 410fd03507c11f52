"""What a scheme within the largest one trains: which tensors, and in what order it updates them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.pipeline import selection, training
from tinytrain.errors import SchemeError, Where
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import replaced, role_of, traits_of
from tinytrain.ir.types import DType
from tinytrain.passes.base import Runner
from tinytrain.passes.select_trainable import weighted_layers
from tinytrain.plan.schedule import ScheduleNodes
from tinytrain.reference.machine import update_indices
from tinytrain.scheme.scheme import Scheme

UpdateKey = tuple[str, str, bool]
"""Role, layer, and whether it is of a bias: what an update is known by in any scheme."""


def key_of(update: Node) -> UpdateKey:
    """Of a node that writes over a tensor."""
    old, _ = replaced(update)[0]
    return role_of(update).value, update.layer, old.type.dtype is DType.S32


@dataclass(frozen=True)
class Part:
    """What is chosen of a layer's weights.

    Attributes:
        axis: of the weights, along which channels are chosen.
        channels: ascending.
    """

    axis: int
    channels: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Candidate:
    """A scheme, resolved.

    Attributes:
        scheme: it.
        updates: the nodes that write over a tensor, each with its place among them.
        parts: by layer, where its weights train in part.
        weights: layers whose weights train, whole or in part.
        biases: layers whose bias trains.
    """

    scheme: Scheme
    updates: Mapping[UpdateKey, tuple[int, Node]]
    parts: Mapping[str, Part]
    weights: frozenset[str]
    biases: frozenset[str]


class Resolver:
    """Schemes within that of a compiled model.

    Args:
        compiled: with the largest scheme.

    Attributes:
        largest: that scheme.
        layers: that have weights, in the order of the model.
    """

    def __init__(self, compiled: Compiled) -> None:
        self._options = compiled.options
        self._moves = compiled.guidance.tangent.moves
        *before, _ = selection(compiled.options, Scheme("head"))
        self._forward = Runner().run(compiled.forward, before)
        self.layers = weighted_layers(self._forward)
        self._weights, self._biases = _trained(compiled.graph)
        self.largest = compiled.scheme

    def resolve(self, scheme: Scheme) -> Candidate:
        """What a scheme trains.

        Raises:
            SchemeError: more than the largest scheme does, or it names a layer that is not there.
        """
        graph = Runner().run(self._forward, selection(self._options, scheme)[-1:])
        weights, biases = _trained(graph)
        _check(weights, biases, self._weights, self._biases, None)
        parts, moves = {}, dict(self._moves)
        for node in graph.nodes:
            if node.op == "merge_channels":
                parts[node.layer] = Part(node.attrs["axis"], node.attrs["channels"])
                whole = node.inputs[0].name.removesuffix("_trained")
                moves[node.inputs[0].name] = moves.get(whole, 0.0)
        step = self._step(graph, scheme, moves)
        places = update_indices(step)
        updates = {
            key_of(node): (places[node.name], node)
            for node in step.nodes
            if traits_of(node).overwrites
        }
        return Candidate(scheme, updates, parts, weights, biases)

    def _step(self, graph: Graph, scheme: Scheme, moves: Mapping[str, float]) -> Graph:
        """The training step: of all orders that the compiler takes one, as updates keep theirs."""
        for step in training(self._options, scheme, moves=moves):
            if isinstance(step, ScheduleNodes):
                return step.plain(graph)
            graph = step(graph)
        raise AssertionError("a training step is scheduled")


def _trained(graph: Graph) -> tuple[frozenset[str], frozenset[str]]:
    """Layers whose weights, and layers whose bias train."""
    producers = graph.producers()

    def trains(node: Node, position: int) -> bool:
        value = node.inputs[position]
        while value in producers and producers[value].op in ("merge_channels", "rescale_bias"):
            value = producers[value].inputs[0]
        return value in graph.parameters

    layers = [node for node in graph.nodes if traits_of(node).has_weights]
    weights, biases = ({node.layer for node in layers if trains(node, k)} for k in (1, 2))
    return frozenset(weights), frozenset(biases)


def check_within(graph: Graph, largest: Graph, where: Where) -> None:
    """Refuses a scheme that the largest one does not hold.

    Args:
        graph, largest: forward, each with the parameters of its scheme.

    Raises:
        SchemeError: it trains more, or nothing.
    """
    _check(*_trained(graph), *_trained(largest), where)


def _check(
    weights: frozenset[str],
    biases: frozenset[str],
    most_weights: frozenset[str],
    most_biases: frozenset[str],
    where: Where | None,
) -> None:
    _refuse_more("weights", weights - most_weights, most_weights, where)
    _refuse_more("bias", biases - most_biases, most_biases, where)
    if not weights:
        raise SchemeError(
            "the scheme trains nothing", where=where, help="give one that trains the head"
        )


def _refuse_more(
    what: str, more: frozenset[str], known: frozenset[str], where: Where | None
) -> None:
    if more:
        raise SchemeError(
            f"layer '{min(more)}' is no candidate to train its {what}",
            where=where,
            help=f"candidates are {', '.join(sorted(known))}; compile a larger scheme for others",
        )
