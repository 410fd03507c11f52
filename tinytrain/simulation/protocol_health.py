"""The lines of health counters that main.c prints, read back."""

from __future__ import annotations

import re

from tinytrain.reference.class_health import ClassCounts
from tinytrain.reference.health import GradientHealth, Health, UpdateHealth

COUNTERS = re.compile(
    r"gradient \d+ saturated (?P<saturated>\d+) rises (?P<rises>\d+) falls (?P<falls>\d+)"
    r"|update \d+ seen (?P<seen>\d+) lost (?P<lost>\d+) at_end (?P<at_end>\d+)"
    r"|class \d+ labels (?P<labels>\d+) right (?P<right>\d+) predictions (?P<predictions>\d+)"
    r" since (?P<since>\d+)"
    r"|absent_after (?P<absent_after>\d+)"
    r"|unlabelled taken (?P<taken>\d+) left (?P<left>\d+)"
)


def take_counters(health: Health, match: re.Match[str]) -> None:
    """Adds the counters of a line, in the order in which they come."""
    counters = {name: int(value) for name, value in match.groupdict().items() if value is not None}
    if "seen" in counters:
        health.at_end.append(counters.pop("at_end"))
        health.updates.append(UpdateHealth(**counters))
    elif "since" in counters:
        health.classes.append(ClassCounts(**counters))
    elif "absent_after" in counters:
        health.absent_after = counters["absent_after"]
    elif "taken" in counters:
        health.taken, health.left = counters["taken"], counters["left"]
    else:
        health.gradients.append(GradientHealth(**counters))
