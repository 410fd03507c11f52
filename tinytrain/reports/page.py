"""The report as one HTML file that needs nothing else: no network, no script to be read."""

from __future__ import annotations

from collections.abc import Sequence

from tinytrain.manifest import Manifest
from tinytrain.manifest.arena import KINDS, StepRecord
from tinytrain.reports import picture, wording
from tinytrain.toolchain.template import render


def report_page(manifest: Manifest) -> bytes:
    """The page; the same manifest gives the same bytes."""
    arena = manifest.arena
    drawn = picture.bars(arena)
    kinds = [kind for kind in KINDS if any(bar.kind == kind for bar in drawn)]
    costs = [step.instructions or 0 for step in arena.steps]
    text = render(
        "codegen",
        "report.html.j2",
        manifest=manifest,
        arena=arena,
        nouns={kind: picture.NOUNS[kind] for kind in kinds},
        bars=drawn,
        names=picture.names_in(arena, drawn),
        areas=picture.live_areas(arena),
        parts=picture.parts(arena.steps),
        byte_ticks=picture.byte_ticks(arena.nbytes),
        step_ticks=picture.step_ticks(len(arena.steps)),
        step_texts=[picture.step_text(index, step) for index, step in enumerate(arena.steps)],
        peak_at=picture.percent(2 * arena.peak_step + 1, 2 * len(arena.steps)),
        costs=costs,
        most_costly=max(costs) or 1,
        unestimated=sum(step.instructions is None for step in arena.steps),
        layer_most={
            key: max((getattr(layer, key) for layer in manifest.layers), default=0) or 1
            for key in ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
        },
        by_op=by_op(arena.steps),
        seconds=wording.seconds_text(manifest.speed),
        basis=wording.seconds_basis(manifest.speed, manifest.target),
        size=wording.size_text,
        short=wording.count_text,
        share=wording.percent_text,
        percent=picture.percent,
    )
    return text.encode()


def by_op(steps: Sequence[StepRecord]) -> list[tuple[str, str, int, int]]:
    """(part, operation, steps, instructions) for what is estimated, most instructions first."""
    found: dict[tuple[str, str], list[int]] = {}
    for step in steps:
        if step.instructions is not None:
            sums = found.setdefault((step.part, step.op), [0, 0])
            sums[0] += 1
            sums[1] += step.instructions
    rows = [(part, op, count, cost) for (part, op), (count, cost) in found.items()]
    return sorted(rows, key=lambda row: (-row[3], row[0], row[1]))
