"""The figures of a session as a person reads them: no raw numbers, no row without a figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.table import Table

from tinytrain.simulation.board_time import BoardTime
from tinytrain.simulation.enrolment import EnrolmentReport
from tinytrain.simulation.result import SimulationResult
from tinytrain.simulation.scores import Confusion

MOST = 20
"""Classes whose confusions are shown as a matrix; of more the most frequent ones are listed."""

_SHARES = ("flagged", "detected", "false_alarms")


def figure(name: str, value: Any) -> str:
    """A figure in the form that goes with its name: a share in %, a count with its commas."""
    if isinstance(value, str):
        return value
    if name == "forgetting":
        return f"{100 * value:.1f} points"
    if "accuracy" in name or name.startswith("clipped") or name in _SHARES:
        return f"{value:.1%}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


_BALANCED = ("balanced_accuracy_before", "balanced_accuracy_after")
_PLAIN = ("accuracy_before", "accuracy_after")
_FIRST = ("on", "steps", "replay_steps", "skipped", "loss_first", "loss_last")
_REST = (
    "accuracy_new",
    "forgetting",
    "mse_before",
    "mse_after",
    "instructions_per_step",
    "instructions_per_replay_step",
    "instructions_per_inference",
    "ram_bytes",
    "flash_bytes",
    "stack_used",
    "stopped_at",
    "kept_bytes",
    "clipped_inputs",
    "clipped_eval_inputs",
)
_ELSEWHERE = {
    "class_accuracy_before",
    "class_accuracy_after",
    "weights_sha256",
    "warnings",
    "curve",
    "best",
    "health",
    "losses",
    "predictions",
    "saved",
    "unequal_classes",
    "old",
    "confusion",
    "rehearsal_recall_before",
    "rehearsal_recall_after",
    "guard",
    "enrolment",
    "unlabelled",
    "board",
}
"""Figures that tables and sentences of their own show."""

_OF_OLD_TASK = (*_BALANCED, *_PLAIN, "forgetting", "mse_before", "mse_after")


def figures_of(result: SimulationResult) -> Iterator[tuple[str, str]]:
    """Names and figures in the order in which they are shown; what was not measured is left out."""
    found = {**vars(result), "followed": result.followed or None}
    if result.accuracy_of == "samples":  # as accuracies mostly do
        found["accuracy_of"] = None
    enrolment = result.enrolment
    if enrolment is not None and enrolment.is_alone:
        yield from enrolment_figures(enrolment)
        if result.accuracy_after is not None:
            yield "accuracy of the head", figure("accuracy", result.accuracy_after)
        found.update(dict.fromkeys((*_FIRST[1:], *_OF_OLD_TASK, "accuracy_of")))
    plain = (*_PLAIN, "accuracy_of")
    accuracies = (*_BALANCED, *plain) if result.unequal_classes else (*plain, *_BALANCED)
    rows = (*_FIRST, *accuracies, *_REST)
    known = _ELSEWHERE.union(rows)
    yield from _shown(found, (*rows, *(name for name in found if name not in known)))
    if result.board is not None:
        yield from board_figures(result.board)
    if result.best is not None:
        yield "best at", f"{result.best.step:,}"
    if result.old is not None and not (enrolment is not None and enrolment.is_alone):
        yield from _shown(vars(result.old), _OF_OLD_TASK, "old task: ")


def board_figures(time: BoardTime) -> Iterator[tuple[str, str]]:
    """Names and figures of how long a board took."""
    for name, ms in (("step", time.ms_per_step), ("inference", time.ms_per_inference)):
        if ms is not None:
            yield f"ms per {name}", f"{ms:.4g}"
    if time.estimated_ms_per_step is not None:
        least, most = time.estimated_ms_per_step
        yield "estimated ms per step", f"{least:.4g} to {most:.4g}"


def enrolment_figures(report: EnrolmentReport) -> Iterator[tuple[str, str]]:
    """Names and figures of the classes that were enrolled; those of each class are left out."""
    yield "enrolled", {"ncm": "nearest class mean", "knn": "nearest neighbours"}[report.method]
    accuracies = (*_BALANCED, *_PLAIN) if report.unequal_classes else (*_PLAIN, *_BALANCED)
    counted = ("instructions_per_enrolment", "instructions_per_classification")
    yield from _shown(vars(report), ("samples", *accuracies, *counted))
    if report.old is not None:
        yield from _shown(vars(report.old), _OF_OLD_TASK, "old task: ")
    yield "ram bytes of what is enrolled", figure("ram_bytes", report.ram_bytes)


def _shown(
    found: Mapping[str, Any], names: Iterable[str], prefix: str = ""
) -> Iterator[tuple[str, str]]:
    for name in names:
        if found[name] is not None:
            yield prefix + name.replace("_", " "), figure(name, found[name])


def scores_table(confusion: Confusion) -> Table:
    """Precision, recall and F1 of each class at the end."""
    table = Table()
    for column in ("class", "samples", "predicted", "precision", "recall", "F1 before", "F1"):
        table.add_column(column, justify="right")
    after = confusion.after
    for label, row in enumerate(after):
        samples, predicted = sum(row), sum(other[label] for other in after)
        if not samples and not predicted:
            continue
        scores = confusion.f1_before[label], confusion.f1_after[label]
        shares = (row[label] / predicted if predicted else None,
                  row[label] / samples if samples else None, *scores)  # fmt: skip
        cells = ("-" if share is None else f"{share:.1%}" for share in shares)
        table.add_row(str(label), f"{samples:,}", f"{predicted:,}", *cells)
    macro = confusion.macro_f1_before, confusion.macro_f1_after
    cells = ("-" if mean is None else f"{mean:.1%}" for mean in macro)
    table.add_section()
    table.add_row("mean", "", "", "", "", *cells)
    return table


def confusion_table(confusion: Confusion) -> Table:
    """Samples of each class by what they were predicted as at the end; of many classes the most
    frequent confusions."""
    after = confusion.after
    table = Table()
    shown = [k for k, row in enumerate(after) if sum(row) or any(other[k] for other in after)]
    if len(shown) > MOST:
        for column in ("class", "taken for", "samples"):
            table.add_column(column, justify="right")
        pairs = [(after[i][j], i, j) for i in shown for j in shown if i != j and after[i][j]]
        for count, label, taken in sorted(pairs, key=lambda pair: (-pair[0], pair))[:MOST]:
            table.add_row(str(label), str(taken), f"{count:,}")
        return table
    table.add_column("class", justify="right")
    for label in shown:
        table.add_column(f"as {label}", justify="right")
    for label in shown:
        table.add_row(
            str(label), *(f"{after[label][k]:,}" if after[label][k] else "." for k in shown)
        )
    return table
