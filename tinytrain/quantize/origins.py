"""Which real numbers the integers of an s8 graph stand for."""

from __future__ import annotations

from collections.abc import Mapping

from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import Quantization


def origins_of(
    done: Mapping[tuple[Value, Quantization | None], Value],
    whole: Graph,
    fused: Graph,
    named: Graph,
) -> dict[Value, Value]:
    """For the values of `named` the f32 values of the graph that it was made from.

    Args:
        done: what each f32 value became, with a quantization of its own or that of its input.
        whole: s8, as it was made.
        fused: the same, its relus in the layers before them.
        named: the same, its values named anew.
    """
    final = {old.output: new.output for old, new in zip(fused.nodes, named.nodes, strict=True)}
    final |= {value: value for value in named.inputs}
    for node in whole.nodes:
        # What is gone was a bound or a step between scales: its input stands for it now.
        final.setdefault(node.output, final.get(node.inputs[0], node.inputs[0]))
    origins: dict[Value, Value] = {}
    for (value, meaning), held in done.items():
        # Of all that became one node the last is what it computes.
        if held in final and (meaning is not None or final[held] not in origins):
            origins[final[held]] = value
    return origins
