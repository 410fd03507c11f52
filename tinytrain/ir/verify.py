"""Holds a graph to the rules of the IR. Runs after every pass."""

from __future__ import annotations

from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.operations import OPS
from tinytrain.ir.ops import TypeRuleError
from tinytrain.ir.text import format_node


def verify(graph: Graph, after: str) -> None:
    """Checks single assignment, order, names, types, constants, parameters and updates.

    Args:
        after: the pass that made the graph; named in the error.

    Raises:
        InternalError: the first violation.
    """
    try:
        _verify_values(graph)
        for node in graph.nodes:
            _verify_node(node)
        _verify_updates(graph)
        _verify_training(graph)
    except TypeRuleError as error:
        raise InternalError(f"the graph is broken after pass '{after}': {error}") from error


def _verify_values(graph: Graph) -> None:
    known: set[Value] = set()
    names: set[str] = set()

    def define(value: Value, where: str) -> None:
        if value.name in names:
            raise TypeRuleError(f"{value} is defined twice ({where})")
        if any(extent <= 0 for extent in value.type.shape):
            raise TypeRuleError(f"{value} has shape {value.type.shape} ({where})")
        known.add(value)
        names.add(value.name)

    for value in graph.inputs:
        define(value, "input")
    for kind, held in (("constant", graph.constants), ("parameter", graph.parameters)):
        for value, data in held.items():
            define(value, kind)
            if data.dtype != value.type.dtype.numpy or data.size != _stored_size(value):
                raise TypeRuleError(
                    f"{kind} {value} is {value.type.dtype.value}{list(value.type.shape)}, "
                    f"its data {data.dtype}{list(data.shape)}"
                )
    node_names: set[str] = set()
    for node in graph.nodes:
        if not node.name or node.name in node_names:
            raise TypeRuleError(f"node name {node.name!r} is empty or used twice")
        node_names.add(node.name)
        for value in node.inputs:
            if value not in known:
                raise TypeRuleError(f"{value} is read before it is written:\n  {format_node(node)}")
        for value in node.outputs:
            define(value, node.name)
    for value in graph.outputs:
        if value not in known:
            raise TypeRuleError(f"output {value} is never written")


def _stored_size(value: Value) -> int:
    return value.type.nbytes // value.type.dtype.numpy.itemsize


def _verify_node(node: Node) -> None:
    op = OPS.get(node.op)
    if op is None:
        raise TypeRuleError(f"unknown operation {node.op!r} in node {node.name}")
    if frozenset(node.attrs) - op.optional != op.attrs:
        raise TypeRuleError(
            f"{node.name}: attributes {sorted(node.attrs)}, {node.op} takes {sorted(op.attrs)}"
            + (f" and perhaps {sorted(op.optional)}" if op.optional else "")
        )
    try:
        signature = op.rule(node)
    except TypeRuleError as error:
        raise TypeRuleError(f"{error}\n  {format_node(node)}") from error
    if len(signature) != len(node.outputs):
        raise TypeRuleError(f"{node.name} has {len(node.outputs)} outputs, not {len(signature)}")
    for value, (shape, dtypes) in zip(node.outputs, signature, strict=True):
        if value.type.shape != tuple(shape) or value.type.dtype not in dtypes:
            raise TypeRuleError(
                f"{value} is {value.type.dtype.value}{list(value.type.shape)}, {node.op} yields "
                f"{'/'.join(d.value for d in dtypes)}{list(shape)}\n  {format_node(node)}"
            )


def _verify_updates(graph: Graph) -> None:
    written = {value for node in graph.nodes for value in node.outputs}
    for parameter, value in graph.updates.items():
        if parameter not in graph.parameters:
            raise TypeRuleError(f"update of {parameter}, which is not a parameter")
        if value not in written or value.type != parameter.type:
            raise TypeRuleError(f"{parameter} cannot become {value}: other type, or never written")


def _verify_training(graph: Graph) -> None:
    if graph.target is not None and graph.target not in graph.inputs:
        raise TypeRuleError(f"target {graph.target} is not an input")
    if graph.accumulate < 1:
        raise TypeRuleError(f"{graph.accumulate} is no number of steps to accumulate")
    for weights, fraction in graph.fractions.items():
        if not {weights, fraction} <= graph.parameters.keys():
            raise TypeRuleError(f"{weights} with fraction {fraction}: not both are parameters")
    outputs = set(graph.outputs)
    for parameter, sums in graph.gradients.items():
        for total in sums:
            if parameter not in graph.parameters or total not in outputs:
                raise TypeRuleError(
                    f"gradient {total} of {parameter}: not an output of a parameter"
                )
    names = {node.name for node in graph.nodes}
    for name in graph.rematerialized:
        if name not in names:
            raise TypeRuleError(f"node '{name}' is said to run again, but is not in the graph")
