"""What stands behind the last layer of a model, and what a loss makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from tinytrain.ir.expression import name_of, steps_of
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import traits_of
from tinytrain.losses import AUTO, LOSSES, suited, target_of
from tinytrain.quantize.ranges import affine

_REACH = {"sigmoid": 6.0, "tanh": 3.0, "hard_sigmoid": 3.0}
"""From where on a function is all but flat, on either side of 0."""

_BETWEEN = frozenset({"quantize", "dequantize"})


@dataclass(frozen=True)
class PrepareHead:
    """Makes the end of a float graph ready for a loss.

    A sigmoid is left out for the loss that has it in itself, and every function where a fresh
    classifier takes the place of the last layer. (A softmax never becomes integers at all.) The
    graph's source then says which loss it is ready for, and which function still ends it.

    Attributes:
        loss: a name of `LOSSES`, or auto.
        is_replaced: whether a fresh classifier will take the place of the last layer.
    """

    loss: str
    is_replaced: bool
    name: ClassVar[str] = "prepare_head"
    summary: ClassVar[str] = (
        "leaves out the function behind the last layer that the loss has in itself"
    )

    def __call__(self, graph: Graph) -> Graph:
        end = function_at_end(graph)
        loss = self.loss
        if loss == AUTO:
            loss = suited("" if end is None or self.is_replaced else function_name(end))
        notes = graph.source.notes
        while end is not None and self._is_left_out(function_name(end), loss):
            graph = _without(graph, end)
            if not self.is_replaced:
                notes = (*notes, _note(function_name(end), loss))
            end = function_at_end(graph)
        source = replace(graph.source, loss=loss, notes=notes)
        if end is not None and end.op == "activation":
            name, steps = name_of(end.attrs), steps_of(end.attrs)
            source = replace(source, ending=name, ending_steps=steps)
        return replace(graph, source=source)

    def _is_left_out(self, function: str, loss: str) -> bool:
        if function == "softmax":
            return False
        return self.is_replaced or function == LOSSES[loss].ends_with


@dataclass(frozen=True)
class FreeOutput:
    """Lets the last layer leave its s32 accumulators, where the loss keeps no range of them."""

    name: ClassVar[str] = "free_output"
    summary: ClassVar[str] = (
        "takes the range away from the outputs of a last layer that trains toward numbers, so that "
        "they never saturate"
    )

    def __call__(self, graph: Graph) -> Graph:
        loss, output = graph.source.loss, graph.outputs[0].type
        if not loss:
            return graph
        wants = target_of(loss, output.size, output.shape[-1])
        if wants in LOSSES[loss].keeps_range:
            return graph
        return _open_function(free_output(graph))


def _note(function: str, loss: str) -> str:
    return (
        f"the model ends in a {function}: it is trained with {loss.replace('_', ' ')}, and its "
        f"outputs are the numbers before the {function}"
    )


def function_at_end(graph: Graph) -> Node | None:
    """The softmax or the activation behind the last layer; None if the model ends in neither."""
    producers = graph.producers()
    node = producers.get(graph.outputs[0])
    while node is not None and (node.op in _BETWEEN or traits_of(node).moves or _is_plain(node)):
        node = producers.get(node.inputs[0])
    if node is None or node.op not in ("softmax", "activation"):
        return None
    return node


def function_name(node: Node) -> str:
    """What a node of `function_at_end` computes: `softmax`, or the function of an activation."""
    return "softmax" if node.op == "softmax" else str(node.attrs["function"])


def _is_plain(node: Node) -> bool:
    return node.op == "activation" and node.attrs["function"] == "identity"


def free_output(graph: Graph) -> Graph:
    """Drops the quantize and dequantize behind the last layer, if the model ends in a layer.

    Its outputs then leave as s32 accumulators, which have no range to outgrow. A model that ends in
    anything else (an activation, a move that mixes channels) stays as it is.
    """
    producers, users = graph.producers(), graph.users()
    node = producers.get(graph.outputs[0])
    while node is not None and (_keeps_channels(node) or node.op == "softmax"):
        node = producers.get(node.inputs[0])
    if node is None or node.op != "dequantize":
        return graph
    back, quantize = node, producers.get(node.inputs[0])
    if quantize is None or quantize.op != "quantize" or len(users[quantize.output]) != 1:
        return graph
    last = producers.get(quantize.inputs[0])
    while last is not None and _keeps_channels(last):
        last = producers.get(last.inputs[0])
    if last is None or not traits_of(last).has_weights:
        return graph
    kept = [node for node in graph.nodes if node not in (back, quantize)]
    return renamed(replace(graph, nodes=tuple(kept)), {back.output: quantize.inputs[0]})


def _open_function(graph: Graph) -> Graph:
    """Lets a sigmoid or tanh that ends the model read all numbers that matter to it.

    Calibration gave its input the range of a model that has not learned yet, which may leave out
    most of what the function can give.
    """
    producers, users = graph.producers(), graph.users()
    end = function_at_end(graph)
    reach = 0.0 if end is None else _REACH.get(function_name(end), 0.0)
    back = None if end is None else producers.get(end.inputs[0])
    if not reach or back is None or back.op != "dequantize":
        return graph
    quantize, held = producers.get(back.inputs[0]), back.inputs[0]
    if quantize is None or quantize.op != "quantize" or users[held] != [back]:
        return graph
    before = held.type.quantization
    assert before is not None
    ends = [float(before.scale[0] * (q - before.zero_point)) for q in (-128, 127)]
    wide = affine((min(ends[0], -reach), max(ends[1], reach)))
    return renamed(graph, {held: replace(held, type=replace(held.type, quantization=wide))})


def _keeps_channels(node: Node) -> bool:
    """Whether each channel of the result is one of the input, in its place."""
    moved = node.output.type.shape[-1] == node.inputs[0].type.shape[-1]
    return traits_of(node).same_bytes and moved


def renamed(graph: Graph, others: Mapping[Value, Value]) -> Graph:
    """The graph with other values in the place of some, wherever nodes or outputs have them."""

    def follow(values: tuple[Value, ...]) -> tuple[Value, ...]:
        return tuple(others.get(value, value) for value in values)

    nodes = [
        replace(node, inputs=follow(node.inputs), outputs=follow(node.outputs))
        for node in graph.nodes
    ]
    return replace(graph, nodes=tuple(nodes), outputs=follow(graph.outputs))


def _without(graph: Graph, end: Node) -> Graph:
    """The graph without its last function, and without what quantized the result of that."""
    gone, behind = {end.name}, {end.output}
    source: dict[Value, Value] = {end.output: end.inputs[0]}
    for node in graph.nodes:
        if not behind.isdisjoint(node.inputs):
            behind.update(node.outputs)
            if node.op in _BETWEEN:
                gone.add(node.name)
                source[node.output] = source.get(node.inputs[0], node.inputs[0])
    kept = [node for node in graph.nodes if node.name not in gone]
    return renamed(replace(graph, nodes=tuple(kept)), source)
