"""Tables and sentences that several commands show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.table import Table
from rich.text import Text

from tinytrain.isa import isa_of
from tinytrain.manifest.arena import KernelRecord, OptimizationRecord
from tinytrain.manifest.enrolment import EnrolmentRecord
from tinytrain.manifest.follow import FollowRecord
from tinytrain.manifest.pseudo import PseudoRecord
from tinytrain.manifest.rates import RaceRecord
from tinytrain.manifest.records import ReplayRecord
from tinytrain.manifest.rehearsal import RehearsalRecord


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


def enrolment_summary(record: EnrolmentRecord) -> str:
    """How classes are enrolled, and what that takes."""
    what = "means" if record.method == "ncm" else f"the nearest of {record.slots:,} samples"
    known = f"; {record.prototypes} known from the factory" if record.prototypes else ""
    return f"{record.classes:,} classes by {what}, {record.ram:,} bytes of RAM{known}"


def pseudo_summary(record: PseudoRecord) -> str:
    """What the thresholds make of the samples that they were found by."""
    return (
        f"{record.taken:.0%} of {record.samples:,} labelled calibration samples are sure enough, "
        f"and {record.right:.1%} of their pseudo-labels are right"
    )


def replay_summary(replay: ReplayRecord) -> str:
    """Slots, their bytes and where they lie."""
    where = "in flash, behind your callbacks" if replay.in_flash else "in RAM"
    return f"{replay.slots:,} of {replay.slot_bytes:,} bytes, {replay.nbytes:,} in all, {where}"


def rehearsal_summary(held: RehearsalRecord) -> str:
    """Samples of the set, their bytes and their classes."""
    of = f", of {len(held.classes)} classes" if held.classes else ""
    return f"{held.slots:,} samples{of}, {held.nbytes:,} bytes of flash"


def race_summary(race: RaceRecord) -> str:
    """What won a race of learning rates, and what it came to on the samples that judged."""
    won = race.variants[race.winner]
    world = "changed samples" if race.changed else "samples"
    lines = [
        f"{won.learning_rate:g} with {won.schedule} won among {len(race.variants)} variants; "
        f"{race.steps:,} steps on {race.learned:,} {world} each, judged by {race.judged:,} others",
        f"{race.measure}: {_before_after(race, race.new_before, won.new)}",
    ]
    if race.old_before is not None:
        lines.append(
            f"{race.measure} on samples as they were: "
            f"{_before_after(race, race.old_before, won.old)}"
        )
    return "\n".join(lines)


def _before_after(race: RaceRecord, *figures: float | None) -> str:
    style = ".1%" if race.measure == "accuracy" else ".4g"
    before, after = ("not finite" if one is None else format(one, style) for one in figures)
    return f"{before} before, {after} after"


def follow_summary(follow: FollowRecord) -> str:
    """Convolutions that follow drift, and their bytes."""
    return (
        f"{len(follow.layers):,} convolutions, {follow.channels:,} channels, {follow.ram:,} bytes "
        "of RAM"
    )


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
