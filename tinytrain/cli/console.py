"""What a person sees: progress and errors on standard error, tables on standard output."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table
from rich.text import Text

from tinytrain.errors import TinytrainError
from tinytrain.isa import isa_of
from tinytrain.manifest.arena import KernelRecord, OptimizationRecord
from tinytrain.manifest.records import ReplayRecord
from tinytrain.simulation.health import HealthReport
from tinytrain.target import Target

PLAIN_LINES = 10
"""Lines for each stage where there is no terminal."""


class ProgressDisplay:
    """Shows stages as they go on; a context manager whose `update` is a session's progress.

    On a terminal each stage has a bar. Anywhere else a plain line appears each time another tenth
    of a stage is done. All of it goes to standard error, so that standard output stays for the
    result.

    Args:
        console: of standard error unless a test gives another.
        quiet: True shows nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        self._console = console or Console(stderr=True)
        self._quiet = quiet
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._shown: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._console.is_terminal and not self._quiet:
            self._bars = Progress(
                TextColumn("{task.description:<16}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                TextColumn("{task.fields[note]}", markup=False),
                console=self._console,
            )
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def update(self, stage: str, done: int, total: int, note: str) -> None:
        """Show that `done` of `total` items of a stage are done; `note` says how it goes."""
        if self._quiet:
            return
        if self._bars is not None:
            if stage not in self._tasks:
                self._tasks[stage] = self._bars.add_task(stage, total=total, note=note)
            self._bars.update(self._tasks[stage], completed=done, note=note)
            return
        part = PLAIN_LINES * done // max(total, 1)
        if part > self._shown.get(stage, 0):
            self._shown[stage] = part
            line = f"{stage} {done}/{total} {note}".rstrip()
            self._console.print(Text(line), soft_wrap=True)


def print_error(error: TinytrainError, console: Console | None = None) -> None:
    """An expected error, on standard error."""
    text = Text("error: ", style="bold red") + Text(str(error), style="default")
    (console or Console(stderr=True)).print(text, soft_wrap=True)


def print_warnings(warnings: Sequence[str], console: Console | None = None) -> None:
    """Sentences on what is known to fail, on standard error."""
    for sentence in warnings:
        text = Text("warning: ", style="bold yellow") + Text(sentence, style="default")
        (console or Console(stderr=True)).print(text, soft_wrap=True)


def print_table(table: Table) -> None:
    """A table, on standard output."""
    Console(file=sys.stdout).print(table)


def print_health(report: HealthReport) -> None:
    """On standard output: what is not well, tensor by tensor, and what to do."""
    rows = [
        *(
            (g.name, f"cut in {g.saturated / report.steps:.0%} of the steps")
            for g in report.saturating()
        ),
        *((u.name, f"{u.lost / u.seen:.1%} of updates lost") for u in report.losing()),
        *((u.name, f"{u.at_end:,} of {u.elements:,} at an end") for u in report.crowded()),
    ]
    if rows:
        table = Table()
        table.add_column("health of", overflow="fold")
        table.add_column("counted")
        for row in rows:
            table.add_row(*row)
        print_table(table)
    for sentence in report.advice or ("all counters are within their thresholds",):
        print(f"health: {sentence}")


def memory_table(
    ram: Mapping[str, int],
    flash: Mapping[str, int],
    *,
    ram_budget: int | None = None,
    flash_budget: int | None = None,
) -> Table:
    """RAM and flash by what they are used for.

    Args:
        ram, flash: bytes of each use, with their sum under "total"; shown in the order given.
        ram_budget, flash_budget: bytes that the target has; None shows no budget.
    """
    table = Table()
    table.add_column("memory")
    table.add_column("use")
    table.add_column("bytes", justify="right")
    for name, parts, budget in (("RAM", ram, ram_budget), ("flash", flash, flash_budget)):
        for use, size in parts.items():
            if use != "total":
                table.add_row(name, use, f"{size:,}")
        total = parts["total"]
        table.add_row(name, "total", f"{total:,}", style="bold", end_section=budget is None)
        if budget is not None:
            share = f"budget, {total / budget:.0%} used" if budget else "budget"
            table.add_row(name, share, f"{budget:,}", end_section=True)
    return table


def facts_table(facts: Mapping[str, object]) -> Table:
    """Names and values, one pair a line; a value of None is shown as a dash."""
    table = Table(show_header=False)
    for name, value in facts.items():
        table.add_row(name, "-" if value is None else Text(str(value)))
    return table


def classes_table(
    before: Sequence[float | None], after: Sequence[float | None], most: int = 20
) -> Table:
    """A line for each class with its accuracy, 0 to 1; those that lost most where there are many.

    Args:
        before, after: None for a class without samples.
        most: lines.
    """
    table = Table()
    for column in ("class", "before", "after", "change"):
        table.add_column(column, justify="right")
    rows = [
        (label, old, new)
        for label, (old, new) in enumerate(zip(before, after, strict=True))
        if old is not None and new is not None
    ]
    if len(rows) > most:
        rows = sorted(sorted(rows, key=lambda row: row[2] - row[1])[:most])
    for label, old, new in rows:
        table.add_row(str(label), f"{old:.1%}", f"{new:.1%}", f"{100 * (new - old):+.1f}")
    return table


def replay_summary(replay: ReplayRecord) -> str:
    """Slots, their bytes and where they lie."""
    where = "in flash, behind your callbacks" if replay.in_flash else "in RAM"
    return f"{replay.slots:,} of {replay.slot_bytes:,} bytes, {replay.nbytes:,} in all, {where}"


def curve_table(curve: Sequence[Mapping[str, Any]]) -> Table:
    """A line for each evaluation between steps: step, accuracy, loss."""
    table = Table()
    for column in ("step", "accuracy", "loss"):
        table.add_column(column, justify="right")
    for point in curve:
        accuracy, loss = point["accuracy"], point["loss"]
        table.add_row(
            f"{point['step']:,}",
            "-" if accuracy is None else f"{accuracy:.1%}",
            "-" if loss is None else f"{loss:.4f}",
        )
    return table


def kernels_table(kernels: Sequence[KernelRecord]) -> Table:
    """A line for each node: its kernel, scratch and estimate, and the estimates of the others."""
    table = Table()
    for column in ("node", "kernel", "instructions", "scratch", "others"):
        right = column in ("instructions", "scratch")
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    for entry in kernels:
        others = {name: cost for name, cost in entry.considered.items() if name != entry.kernel}
        table.add_row(
            entry.node,
            entry.kernel,
            f"{entry.instructions:,}",
            f"{entry.scratch:,}",
            ", ".join(f"{name} {cost:,}" for name, cost in others.items()),
        )
    return table


def ways_summary(ways: Sequence[OptimizationRecord]) -> str:
    """What was done to make the arena small, and what it saves and costs."""
    lines = []
    for way in ways:
        cost = f", {way.instructions / 1e6:+.2f} M instructions" if way.instructions else ""
        lines.append(f"{way.name}: {way.detail}; {way.saved_bytes:,} bytes less{cost}")
    return "\n".join(lines)


def kernels_summary(kernels: Sequence[KernelRecord]) -> str:
    """How many kernels of each instruction set, and what they take together."""
    counts = Counter(isa_of(entry.kernel) for entry in kernels)
    total = sum(entry.instructions for entry in kernels)
    parts = ", ".join(f"{count} {isa}" for isa, count in sorted(counts.items()))
    return f"{parts}; about {total / 1e6:.3g} M instructions a step"


def targets_table(targets: Sequence[Target]) -> Table:
    """A line for each target, within 80 columns for those that tinytrain brings along."""
    table = Table(box=None, padding=(0, 2, 0, 0))
    for column in ("target", "what it is", "RAM", "flash", "runs"):
        right = column in ("RAM", "flash")
        table.add_column(column, justify="right" if right else "left", no_wrap=True)
    for target in targets:
        runs = "here" if target.is_host else "qemu" if target.machine else "-"
        table.add_row(target.name, target.description, _size(target.ram), _size(target.flash), runs)
    return table


def _size(nbytes: int) -> str:
    """A budget as the command line takes it, rounded."""
    for unit, letter in ((1 << 30, "G"), (1 << 20, "M")):
        if nbytes >= unit:
            return f"{nbytes / unit:.3g}{letter}"
    return f"{nbytes / 1024:.0f}K"
