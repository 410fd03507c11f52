"""What the counters of classes say, in words: docs/training.md has the criteria."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tinytrain.reference.class_health import ABSENT, FADING, trend
from tinytrain.reference.health import Health
from tinytrain.simulation.forgetting import ClassAccuracies

ENOUGH = 64
"""Steps, updates or elements below which their counters say nothing."""

NAMED = 4
"""Names that a sentence holds at most."""


@dataclass(frozen=True)
class ClassReport:
    """Counters of one class, in the latest training steps.

    Attributes:
        label: its number.
        labels, right, predictions: steps on samples with its label, those of them that predicted
            it, and all that predicted it.
        since: steps since its label came last.
        absent_after: such steps after which it fades.
        trend: "well", "absent" or "fading".
    """

    label: int
    labels: int
    right: int
    predictions: int
    since: int
    absent_after: int
    trend: str


def class_reports(health: Health) -> tuple[ClassReport, ...]:
    """Of all classes that are counted."""
    after = health.absent_after
    return tuple(
        ClassReport(
            label, **vars(one), absent_after=after, trend=trend(health.classes, label, after)
        )
        for label, one in enumerate(health.classes)
    )


def class_advice(classes: Sequence[ClassReport]) -> Iterator[str]:
    """A sentence for each kind of trouble."""
    absent = [one for one in classes if one.trend == ABSENT]
    fading = [one for one in classes if one.trend == FADING]
    steps = sum(one.labels for one in classes)
    came = [one for one in classes if one.labels]
    ways = "train on kept samples of the others, too (--rehearse, --replay), or end training"
    if len(came) == 1 and steps >= ENOUGH and absent:
        yield (
            f"all of the latest {steps} steps had label {came[0].label}, and a model that sees one "
            f"class alone unlearns the others: {ways}"
        )
    elif absent:
        longest = max(one.since for one in absent)
        yield (
            f"{_names(absent)} {_has(absent)} not come for {longest:,} steps, and from "
            f"{absent[0].absent_after:,} on what the model knew of a class fades at this learning "
            f"rate: {ways}"
        )
    if fading:
        first = fading[0]
        yield (
            f"{_names(fading)} {_has(fading)} been predicted less than a quarter as often as the "
            f"label came (class {first.label}: {first.predictions} to {first.labels} of the latest "
            "steps): use --class-weights balanced, or --replay"
        )


def recall_advice(before: ClassAccuracies | None, after: ClassAccuracies | None) -> Iterator[str]:
    """A sentence on the classes of a rehearsal set of which more than half is forgotten."""
    lost = [
        (label, old, new)
        for label, (old, new) in enumerate(zip(before or (), after or (), strict=True))
        if old and new is not None and new < 0.5 * old
    ]
    if lost:
        told = listed([f"class {k} from {old:.0%} to {new:.0%}" for k, old, new in lost])
        yield (
            f"recall on the rehearsal set fell by more than half: {told}: take a smaller "
            "learning rate, or more rehearsal steps a sample"
        )


def listed(names: Sequence[str]) -> str:
    """The first names, and how many more there are."""
    first = ", ".join(names[:NAMED])
    return first if len(names) <= NAMED else f"{first} and {len(names) - NAMED} more"


def _names(found: Sequence[ClassReport]) -> str:
    labels = listed([str(one.label) for one in found])
    return f"class{'es' if len(found) > 1 else ''} {labels}"


def _has(found: Sequence[ClassReport]) -> str:
    return "have" if len(found) > 1 else "has"
