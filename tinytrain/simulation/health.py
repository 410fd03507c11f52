"""What the health counters of a session say, in numbers and in words.

The thresholds stand in docs/training.md, with what was measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from tinytrain.ir.rounding import Rounding
from tinytrain.manifest.health import HealthRecord
from tinytrain.naming import advice
from tinytrain.reference.health import Health
from tinytrain.simulation.class_health import (
    ENOUGH,
    ClassReport,
    class_advice,
    class_reports,
    listed,
    recall_advice,
)
from tinytrain.simulation.forgetting import ClassAccuracies

SATURATED = 1 / 16
"""Share of the steps in which a gradient may saturate."""

LOST = {Rounding.NEAREST: 0.9, Rounding.STOCHASTIC: 0.99}
"""Share of the updates that may be rounded to nothing, by rule of rounding. Stochastic rounding
keeps the mean of what it loses: only where nearly nothing is left do weights move by chance."""

AT_END = 1 / 64
"""Share of a tensor's elements that may have come to an end of their range."""


@dataclass(frozen=True)
class GradientReport:
    """Counters of the gradient of one tensor, in steps; `name` is that of the node behind it."""

    name: str
    layer: str
    saturated: int
    rises: int
    falls: int


@dataclass(frozen=True)
class UpdateReport:
    """Counters of one trained tensor: updates seen and lost, elements at an end of their range
    before the first and after the last step."""

    name: str
    layer: str
    elements: int
    seen: int
    lost: int
    at_end_before: int
    at_end: int
    is_logits: bool = False
    """Whether its layer gives the logits."""

    @property
    def has_fraction(self) -> bool:
        """Whether fractional bits make its updates finer: a bias is fine enough."""
        return self.name.startswith("weights")


@dataclass(frozen=True)
class HealthReport:
    """A session's health.

    Attributes:
        steps: of training in this session, skipped ones too.
        skipped: steps that changed nothing, as the loss was NaN or infinite.
        gradients, updates: all counters, in the order of the device.
        rule, fraction_bits: the model's options.
        advice: what to do, a sentence for each kind of trouble; empty where all is well.
        classes: how often each came and was predicted; empty where that is not counted.
        is_falling: whether the loss fell in this session; None where it has no two halves.
        taken, left: samples without labels that were trained on, and those that were left alone.
    """

    steps: int
    skipped: int
    gradients: tuple[GradientReport, ...]
    updates: tuple[UpdateReport, ...]
    rule: str
    fraction_bits: int
    advice: tuple[str, ...] = ()
    classes: tuple[ClassReport, ...] = ()
    is_falling: bool | None = None
    taken: int = 0
    left: int = 0

    def saturating(self) -> tuple[GradientReport, ...]:
        """Gradients that saturate too often."""
        if self.steps < ENOUGH:
            return ()
        return tuple(g for g in self.gradients if g.saturated > SATURATED * self.steps)

    def crowded(self) -> tuple[UpdateReport, ...]:
        """Trained tensors of which too much has come to an end of its range.

        Logits tell classes apart by their differences, which the other weights go on to learn:
        those of the head are left out as long as the loss falls.
        """
        return tuple(
            u
            for u in self.updates
            if u.elements >= ENOUGH
            and u.at_end - u.at_end_before > AT_END * u.elements
            and not (u.is_logits and self.is_falling)
        )

    def losing(self) -> tuple[UpdateReport, ...]:
        """Trained tensors whose updates are lost to rounding."""
        most = LOST[Rounding(self.rule)]
        return tuple(u for u in self.updates if u.seen >= ENOUGH and u.lost > most * u.seen)


def health_report(
    counted: HealthRecord | None,
    health: Health | None,
    *,
    rule: str,
    fraction_bits: int,
    is_falling: bool | None = None,
    recall: tuple[ClassAccuracies | None, ClassAccuracies | None] = (None, None),
) -> HealthReport | None:
    """What an engine counted, under the names that a manifest has for it.

    Args:
        counted: of the model; None where it counts nothing.
        rule, fraction_bits: the model's options.
        is_falling: whether the loss fell in this session.
        recall: of each class on the rehearsal set, before and after.
    """
    if health is None or counted is None:
        return None
    report = HealthReport(
        steps=health.steps,
        skipped=health.skipped,
        gradients=tuple(
            GradientReport(record.name, record.layer, **vars(found))
            for record, found in zip(counted.gradients, health.gradients, strict=True)
        ),
        updates=tuple(
            UpdateReport(
                record.name,
                record.layer,
                record.elements,
                **vars(found),
                at_end_before=record.at_end,
                at_end=at_end,
                is_logits=record.is_logits,
            )
            for record, found, at_end in zip(
                counted.updates, health.updates, health.at_end, strict=True
            )
        ),
        rule=rule,
        fraction_bits=fraction_bits,
        classes=class_reports(health),
        is_falling=is_falling,
        taken=health.taken,
        left=health.left,
    )
    classes = (*class_advice(report.classes), *recall_advice(*recall))
    return replace(report, advice=advice((*_advice(report), *classes)))


def _advice(report: HealthReport) -> Iterator[str]:
    if report.skipped:
        yield (
            f"{report.skipped} of {report.steps} steps were skipped, as their loss was NaN or "
            "infinite: use a smaller learning rate, and look for samples that are not finite"
        )
    if report.left >= ENOUGH and not report.taken:
        yield (
            f"none of {report.left:,} samples without labels was sure enough: they lie far from "
            "all that is known; label a few of each class, and enrol or train on them"
        )
    if losing := report.losing():
        ways = ["a larger learning rate"]
        if report.fraction_bits < 8 and any(update.has_fraction for update in losing):
            ways.insert(0, "more fraction bits")
        if report.rule == Rounding.NEAREST:
            ways.insert(0, "stochastic rounding")
        yield f"updates of {_names(losing)} are lost to rounding: use {' or '.join(ways)}"
    if crowded := report.crowded():
        yield (
            f"{_names(crowded)} have come to the end of their range: use a smaller "
            "learning rate or weight decay"
        )
    if saturating := report.saturating():
        yield (
            f"the gradients of {_names(saturating)} are cut in more than one step of "
            f"{round(1 / SATURATED)}: use gradients in s16 or a smaller learning rate"
        )


def _names(found: Sequence[GradientReport | UpdateReport]) -> str:
    return listed([entry.name for entry in found])
