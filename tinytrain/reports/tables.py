"""The report in a terminal: what stands at the peak, layers, ways of saving, and the sums."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from tinytrain.manifest import Manifest, to_json
from tinytrain.manifest.arena import ArenaRecord, LayerRecord, OptimizationRecord
from tinytrain.manifest.choice import ChoiceRecord
from tinytrain.reports.wording import count_text, seconds_basis, seconds_text


def peak_table(arena: ArenaRecord, most: int = 10) -> Table:
    """Who stands at the peak, largest first, at most so many lines."""
    table = _table("at the peak", "kind", "bytes")
    live = arena.at_peak()
    for storage in live[:most]:
        table.add_row(Text(storage.name), storage.kind, f"{storage.nbytes:,}")
    if rest := live[most:]:
        table.add_row(f"{len(rest)} more", "", f"{sum(s.nbytes for s in rest):,}")
    return table


def layers_table(layers: Sequence[LayerRecord], most: int = 10) -> Table:
    """The layers that take most RAM, in the order of the network, and the sum of all."""
    table = _table("layer", "trained", "saved", "constants", "instructions")

    def row(name: str, summed: Sequence[LayerRecord], style: str | None = None) -> None:
        keys = ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
        figures = (f"{sum(getattr(layer, key) for layer in summed):,}" for key in keys)
        table.add_row(Text(name), *figures, style=style)

    def size(layer: LayerRecord) -> tuple[int, int]:
        return layer.trained_bytes + layer.saved_bytes, layer.instructions

    chosen = sorted(layers, key=size, reverse=True)[:most]
    for layer in (layer for layer in layers if layer in chosen):
        row(layer.name, [layer])
    if rest := [layer for layer in layers if layer not in chosen]:
        row(f"{len(rest)} more", rest)
    row("all", layers, "bold")
    return table


def ways_table(ways: Sequence[OptimizationRecord]) -> Table:
    """What each way of saving memory brought and cost."""
    table = _table("way", "what it does", "bytes saved", "instructions")
    for way in ways:
        cost = f"{way.instructions:+,}" if way.instructions else "none"
        table.add_row(Text(way.name), Text(way.detail), f"{way.saved_bytes:,}", cost)
    return table


def choice_table(choice: ChoiceRecord) -> Table:
    """What each layer is worth, what trains of it, and what its weights cost."""
    table = _table("layer", "share of value", "bias trains", "channels that train", "bytes")
    for layer in choice.layers:
        channels = f"{layer.channels:,} of {layer.of:,}" if layer.channels else "-"
        cost = f"{layer.ram:,}" if layer.channels else "-"
        trains = "yes" if layer.bias else "-"
        table.add_row(Text(layer.layer), f"{layer.value:.1%}", trains, channels, cost)
    return table


def report_facts(manifest: Manifest) -> dict[str, object]:
    """The sums by name."""
    arena, speed = manifest.arena, manifest.speed
    gap = f"{arena.gap:,} bytes" if arena.gap else "none, the arena is at its lower bound"
    choice = {} if manifest.choice is None else {"scheme": manifest.choice.sentence()}
    portions = manifest.portions
    cut = {} if portions is None else {"portions of a step": portions.sentence()}
    return {
        **choice,
        "import": "not recorded" if manifest.proof is None else manifest.proof.sentence(),
        "arena": f"{arena.nbytes:,} bytes",
        "lower bound": f"{arena.lower_bound:,} bytes",
        "gap": gap,
        "peak": f"step {arena.peak_step} of {len(arena.steps)}, {arena.peak}",
        "instructions a step": f"about {count_text(speed.instructions)}",
        **cut,
        "time of a step": seconds_text(speed),
        "how estimated": seconds_basis(speed, manifest.target),
    }


def report_json(manifest: Manifest, page: object) -> dict[str, Any]:
    """The same for scripts, with the manifest's own keys."""
    arena = manifest.arena
    return {
        "page": str(page),
        "proof": to_json(manifest.proof),
        "choice": to_json(manifest.choice),
        "ram": dict(manifest.ram),
        "flash": dict(manifest.flash),
        "budget": to_json(manifest.budget),
        "arena": {
            "bytes": arena.nbytes,
            "lower_bound": arena.lower_bound,
            "gap": arena.gap,
            "peak_step": arena.peak_step,
            "peak": arena.peak,
            "at_peak": to_json(arena.at_peak()),
        },
        "layers": to_json(manifest.layers),
        "ways": to_json(arena.optimizations),
        "speed": to_json(manifest.speed),
        "portions": to_json(manifest.portions),
    }


def _table(*columns: str) -> Table:
    table = Table()
    words = ("at the peak", "kind", "layer", "way", "what it does")
    for column in columns:
        right = column not in words
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table
