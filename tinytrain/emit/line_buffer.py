"""Chains that run row by row: each node a call for one band, in a function for one turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinytrain.emit.c_text import identifier, wrapped
from tinytrain.emit.calls_forward import CALLS
from tinytrain.emit.context import BandPlaces, EmitContext
from tinytrain.ir.graph import Node
from tinytrain.ir.text import format_type
from tinytrain.plan.line_buffer import Band, Stream, maps_of, row_bytes


@dataclass(frozen=True)
class StreamText:
    """What the templates write for a chain.

    Attributes:
        first, last: places of its nodes in the schedule.
        name: C function that runs one turn.
        title: which nodes it runs.
        tables: arrays of `tt_band`: name and initialiser.
        stages: of each node: its comment, the name of its table, its lines.
        feed: of a source whose rows arrive turn by turn, what `feed.c.j2` writes.
    """

    first: int
    last: int
    name: str
    title: str
    turns: int
    tables: tuple[Mapping[str, str], ...]
    stages: tuple[Mapping[str, Any], ...]
    feed: Mapping[str, Any] | None

    def steps(self) -> list[dict[str, object]]:
        """What the forward pass runs: nothing if the turns have run when rows arrived."""
        if self.feed is not None:
            return []
        lines = [
            f"for (size_t turn = 0; turn < {self.turns}; turn++) {{",
            f"    {self.name}(state, turn);",
            "}",
        ]
        return [{"comment": self.title, "lines": lines, "training_only": False}]


def stream_text(context: EmitContext, stream: Stream) -> StreamText:
    """The C of one chain."""
    nodes = context.graph.nodes[stream.first : stream.last + 1]
    tables: dict[str, str] = {}

    def table(title: str, bands: Sequence[Band]) -> str:
        text = _bands(bands)
        if text not in tables:
            tables[text] = context.unique(f"{identifier(title)}_bands")
        return tables[text]

    stages = [
        _stage(context, node, table(node.name, bands), stream)
        for node, bands in zip(nodes, stream.bands, strict=True)
    ]
    name = context.unique(f"run_{identifier(nodes[0].name)}_to_{identifier(nodes[-1].name)}")
    feed = None
    if stream.feed is not None:
        source = stream.source
        feed = {
            "buffer": context.place(source),
            "table": table(source.name, stream.feed),
            "chain": name,
            "turns": stream.turns,
            "rows": source.type.shape[1],
            "row_size": row_bytes(source),
        }
    return StreamText(
        stream.first,
        stream.last,
        name,
        f"{nodes[0].name} to {nodes[-1].name}",
        stream.turns,
        tuple({"name": name, "text": text} for text, name in tables.items()),
        tuple(stages),
        feed,
    )


def _stage(context: EmitContext, node: Node, table: str, stream: Stream) -> dict[str, Any]:
    y = node.output
    starts = {value: f"band->skip[{k}]" for k, value in enumerate(maps_of(node))}
    context.layer = node.layer
    context.band = BandPlaces({**starts, y: "band->kept"})
    calls = CALLS[node.op](context, node)
    window = context.band.window
    context.band = None
    lines = []
    if window is not None:
        lines.append(f"const tt_window window = tt_band_window(band, {window});")
    if stream.buffer_of(y) is not None:
        lines.append(f"tt_band_roll(band, {row_bytes(y)}, {context.place(y)});")
    comment = f"{node.name}: {node.op} -> rows of {format_type(y.type)}"
    return {
        "comment": comment,
        "table": table,
        "lines": [wrapped(line, 8) for line in (*lines, *calls)],
    }


def _bands(bands: Sequence[Band]) -> str:
    items = []
    for band in bands:
        skip = ", ".join(map(str, band.skip)) or "0"
        items.append(
            f"{{{band.drop}, {band.kept}, {band.rows}, {band.in_rows}, {band.pad_top}, {{{skip}}}}}"
        )
    per_line = 4
    lines = [", ".join(items[k : k + per_line]) for k in range(0, len(items), per_line)]
    return "{\n    " + ",\n    ".join(lines) + "\n}"
