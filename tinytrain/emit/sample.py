"""What the templates say of a sample: its inputs, and the order of an output."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tinytrain.emit.c_text import float_literal
from tinytrain.emit.context import EmitContext
from tinytrain.ir.graph import Graph, Value
from tinytrain.reference.lowering import scale_of, zero_of


def input_texts(context: EmitContext, values: Sequence[Value]) -> list[dict[str, object]]:
    """Of each input in order; `number` is empty where there is one."""
    names = [one.name for one in context.graph.source.inputs] or [""]
    found: list[dict[str, object]] = []
    start = 0
    for place, (value, name) in enumerate(zip(values, names, strict=True)):
        found.append(
            {
                "number": place if len(values) > 1 else "",
                "name": re.sub(r"[^\w .:/-]", "_", name),
                "size": value.type.size,
                "start": start,
                "shape": "x".join(map(str, value.type.shape[1:])),
                "scale": float_literal(scale_of(value), in_header=True),
                "zero": zero_of(value),
                "place": context.place(value),
            }
        )
        start += value.type.size
    return found


def output_order(graph: Graph, output: Value) -> str:
    """Of the elements of a map; nothing for a vector."""
    source = graph.source
    sizes = dict(zip(source.output_layout, source.output_shape, strict=True))
    height, width = sizes.get("H", 1), sizes.get("W", sizes.get("L", 1))
    channels = sizes.get("C", 1)
    is_map = height * width * channels == output.type.size and 1 not in (channels, height * width)
    return f", {height}x{width}x{channels}, channels innermost" if is_map else ""
