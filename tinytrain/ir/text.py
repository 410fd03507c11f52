"""Prints a graph as text, for `--dump-ir`, error messages and tests."""

from __future__ import annotations

from typing import Any

from tinytrain.ir.graph import Graph, Node, Value
from tinytrain.ir.types import TensorType


def format_type(type_: TensorType) -> str:
    """For example `s8[1,8,8,48] @0.0235-128`, `s8[16,3,3,3] @axis0` or `s8[1,160] *2^e4`."""
    text = f"{type_.dtype.value}[{','.join(map(str, type_.shape))}]"
    if type_.quantization is not None:
        q = type_.quantization
        text += f" @axis{q.axis}" if q.axis is not None else f" @{q.scale[0]:.6g}{q.zero_point:+d}"
    if type_.exponent is not None:
        text += f" *2^{type_.exponent}"
    return text


def format_node(node: Node) -> str:
    """One line: outputs, operation, inputs, attributes, name."""
    outputs = ", ".join(f"{value}: {format_type(value.type)}" for value in node.outputs)
    inputs = ", ".join(map(str, node.inputs))
    attrs = " ".join(f"{key}={_attr(value)}" for key, value in sorted(node.attrs.items()))
    return (
        f"{outputs} = {node.op}({inputs})" + (f" {{{attrs}}}" if attrs else "") + f"  # {node.name}"
    )


def _attr(value: Any) -> str:
    text = str(value).replace(" ", "")
    return text if len(text) <= 60 else f"{text[:57]}..."


def format_graph(graph: Graph) -> str:
    """The whole graph; equal graphs give equal text."""
    lines = [f"graph {graph.name}"]
    lines += [f"  input {_declared(value)}" for value in graph.inputs]
    lines += [f"  constant {_declared(value)}" for value in graph.constants]
    lines += [f"  parameter {_declared(value)}" for value in graph.parameters]
    again = graph.rematerialized
    for node in graph.nodes:
        repeats = f", runs {again[node.name]} again" if node.name in again else ""
        lines.append(f"  {format_node(node)}{repeats}")
    lines += [f"  update {parameter} <- {value}" for parameter, value in graph.updates.items()]
    lines += [f"  output {value}" for value in graph.outputs]
    return "\n".join(lines) + "\n"


def _declared(value: Value) -> str:
    return f"{value}: {format_type(value.type)}"
