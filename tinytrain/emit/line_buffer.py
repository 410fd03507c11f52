"""The C of line-buffered chains: a function for one step, which calls each node for a stripe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinytrain.emit.c_text import identifier, table
from tinytrain.emit.calls import CALLS
from tinytrain.emit.context import EmitContext, StripePlaces
from tinytrain.ir.graph import Node
from tinytrain.ir.text import format_type
from tinytrain.plan.chain import LineBufferedChain, Stripe, row_bytes
from tinytrain.plan.line_buffer import maps_of


@dataclass(frozen=True)
class ChainText:
    """What the templates write for a line-buffered chain.

    Attributes:
        first, last: indices of its first and its last node in the schedule.
        name: C function that runs one step.
        title: which nodes it runs.
        steps: iterations of the loop.
        tables: arrays of `tt_stripe`: name and initialiser.
        stages: for each node, its comment, the name of its table, its lines.
        feed: for a source whose rows arrive step by step, what `feed.c.j2` writes.
    """

    first: int
    last: int
    name: str
    title: str
    steps: int
    tables: tuple[Mapping[str, str], ...]
    stages: tuple[Mapping[str, Any], ...]
    feed: Mapping[str, Any] | None

    def loop(self) -> list[str]:
        """Its steps, one after the other."""
        return [
            f"for (size_t step = 0; step < {self.steps}; step++) {{",
            f"    {self.name}(state, step);",
            "}",
        ]


def chain_text(context: EmitContext, chain: LineBufferedChain) -> ChainText:
    """The C of one chain."""
    nodes = context.graph.nodes[chain.first : chain.last + 1]
    tables: dict[str, str] = {}

    def named(title: str, stripes: Sequence[Stripe]) -> str:
        text = _table(stripes)
        if text not in tables:
            tables[text] = context.unique(f"{identifier(title)}_stripes")
        return tables[text]

    stages = [
        _stage(context, node, named(node.name, stripes), chain)
        for node, stripes in zip(nodes, chain.stripes, strict=True)
    ]
    name = context.unique(f"run_{identifier(nodes[0].name)}_to_{identifier(nodes[-1].name)}")
    feed = None
    if chain.feed is not None:
        source = chain.source
        feed = {
            "buffer": context.place(source),
            "table": named(source.name, chain.feed),
            "chain": name,
            "steps": chain.steps,
            "rows": source.type.shape[1],
            "row_size": row_bytes(source),
        }
    return ChainText(
        chain.first,
        chain.last,
        name,
        f"{nodes[0].name} to {nodes[-1].name}",
        chain.steps,
        tuple({"name": name, "text": text} for text, name in tables.items()),
        tuple(stages),
        feed,
    )


def _stage(
    context: EmitContext, node: Node, table: str, chain: LineBufferedChain
) -> dict[str, Any]:
    y = node.output
    starts = {value: f"stripe->skip[{k}]" for k, value in enumerate(maps_of(node))}
    context.layer = node.layer
    context.stripe = StripePlaces({**starts, y: "stripe->kept"})
    calls = CALLS[node.op](context, node)
    window = context.stripe.window
    context.stripe = None
    lines = []
    if window is not None:
        window = context.call("tt_stripe_window", "stripe", window)
        lines.append(f"const tt_window window = {window}")
    if chain.buffer_of(y) is not None:
        lines.append(context.call("tt_stripe_roll", "stripe", row_bytes(y), context.place(y)))
    comment = f"{node.name}: {node.op} -> rows of {format_type(y.type)}"
    return {
        "comment": comment,
        "table": table,
        "lines": [*lines, *calls],
    }


def _table(stripes: Sequence[Stripe]) -> str:
    items = []
    for stripe in stripes:
        skip = ", ".join(map(str, stripe.skip)) or "0"
        moved = f"{stripe.drop}, {stripe.kept}, {stripe.rows}"
        items.append(f"{{{moved}, {stripe.in_rows}, {stripe.pad_top}, {{{skip}}}}}")
    return table(items)
