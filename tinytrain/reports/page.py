"""The report as one HTML file that needs nothing else: no network, no script to be read."""

from __future__ import annotations

from tinytrain.plan.record import KINDS
from tinytrain.reports import picture, wording
from tinytrain.reports.facts import Report
from tinytrain.toolchain.template import render


def report_page(report: Report) -> bytes:
    """The page; the same manifest gives the same bytes."""
    drawn = picture.bars(report)
    kinds = [kind for kind in KINDS if any(bar.kind == kind for bar in drawn)]
    costs = [step.instructions or 0 for step in report.steps]
    text = render(
        "codegen",
        "report.html.j2",
        report=report,
        nouns={kind: picture.NOUNS[kind] for kind in kinds},
        bars=drawn,
        names=picture.names_in(report, drawn),
        areas=picture.live_areas(report),
        parts=picture.parts(report),
        byte_ticks=picture.byte_ticks(report.arena_bytes),
        step_ticks=picture.step_ticks(len(report.steps)),
        step_texts=[picture.step_text(index, step) for index, step in enumerate(report.steps)],
        peak_at=picture.percent(2 * report.peak + 1, 2 * len(report.steps)),
        costs=costs,
        most_costly=max(costs) or 1,
        unestimated=sum(step.instructions is None for step in report.steps),
        at_peak=report.at_peak(),
        layer_most={
            key: max((getattr(layer, key) for layer in report.layers), default=0) or 1
            for key in ("trained_bytes", "saved_bytes", "constant_bytes", "instructions")
        },
        by_op=report.by_op(),
        seconds=wording.seconds_text(report),
        basis=wording.seconds_basis(report),
        size=wording.size_text,
        short=wording.count_text,
        share=wording.percent_text,
        percent=picture.percent,
    )
    return text.encode()
