"""The report in a terminal: what stands at the peak, layers, ways of saving, and the sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from tinytrain.reports.facts import Layer, Report, Storage
from tinytrain.reports.wording import count_text, seconds_basis, seconds_text


def peak_table(report: Report, most: int = 10) -> Table:
    """Who stands at the peak, largest first, at most so many lines."""
    table = _table("at the peak", "kind", "bytes")
    live = report.at_peak()
    for storage in live[:most]:
        table.add_row(Text(storage.name), storage.kind, f"{storage.nbytes:,}")
    if rest := live[most:]:
        table.add_row(f"{len(rest)} more", "", f"{sum(s.nbytes for s in rest):,}")
    return table


def layers_table(report: Report, most: int = 10) -> Table:
    """The layers that take most RAM, in the order of the network, and the sum of all."""
    table = _table("layer", "trained", "saved", "constants", "instructions")

    def row(name: str, layers: Sequence[Layer], style: str | None = None) -> None:
        keys = ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
        figures = (f"{sum(getattr(layer, key) for layer in layers):,}" for key in keys)
        table.add_row(Text(name), *figures, style=style)

    def size(layer: Layer) -> tuple[int, int]:
        return layer.trained_bytes + layer.saved_bytes, layer.instructions

    chosen = sorted(report.layers, key=size, reverse=True)[:most]
    for layer in (layer for layer in report.layers if layer in chosen):
        row(layer.name, [layer])
    if rest := [layer for layer in report.layers if layer not in chosen]:
        row(f"{len(rest)} more", rest)
    row("all", report.layers, "bold")
    return table


def ways_table(report: Report) -> Table:
    """What each way of saving memory brought and cost."""
    table = _table("way", "what it does", "bytes saved", "instructions")
    for way in report.ways:
        cost = f"{way.instructions:+,}" if way.instructions else "none"
        table.add_row(Text(way.way), Text(way.detail), f"{way.saved_bytes:,}", cost)
    return table


def report_facts(report: Report) -> dict[str, object]:
    """The sums by name."""
    gap = f"{report.gap:,} bytes" if report.gap else "none, the arena is at its lower bound"
    return {
        "arena": f"{report.arena_bytes:,} bytes",
        "lower bound": f"{report.lower_bound:,} bytes",
        "gap": gap,
        "peak": f"step {report.peak} of {len(report.steps)}, {report.steps[report.peak].name}",
        "instructions a step": f"about {count_text(report.speed.instructions)}",
        "time of a step": seconds_text(report),
        "how estimated": seconds_basis(report),
    }


def report_json(report: Report, page: object) -> dict[str, Any]:
    """The same for scripts."""
    return {
        "page": str(page),
        "ram": dict(report.ram),
        "flash": dict(report.flash),
        "budget": {"ram": report.ram_budget, "flash": report.flash_budget},
        "arena": {
            "bytes": report.arena_bytes,
            "lower_bound": report.lower_bound,
            "gap": report.gap,
            "peak_step": report.peak,
            "peak": report.steps[report.peak].name,
            "at_peak": [_storage_json(storage) for storage in report.at_peak()],
        },
        "layers": [asdict(layer) for layer in report.layers],
        "ways": [asdict(way) for way in report.ways],
        "speed": asdict(report.speed),
    }


def _storage_json(storage: Storage) -> dict[str, Any]:
    """With the manifest's own keys."""
    fields = asdict(storage)
    return {"bytes" if key == "nbytes" else key: value for key, value in fields.items()}


def _table(*columns: str) -> Table:
    table = Table()
    words = ("at the peak", "kind", "layer", "way", "what it does")
    for column in columns:
        right = column not in words
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table
