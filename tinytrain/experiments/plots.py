"""Accuracy against steps, against RAM and against instructions, as SVG files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinytrain.experiments.results import GroupResult

_SETTINGS = {"svg.hashsalt": "tinytrain", "font.size": 9.0, "axes.grid": True, "grid.alpha": 0.3}


def plots_of(groups: Sequence[GroupResult]) -> dict[str, str]:
    """The text of each SVG file by its name; the same groups give the same bytes.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    import matplotlib

    by_title: dict[tuple[str, str], list[GroupResult]] = {}
    for group in groups:
        if group.chosen():
            by_title.setdefault((group.first.model.name, group.first.data.name), []).append(group)
    found = {}
    with matplotlib.rc_context(_SETTINGS):
        for names, members in by_title.items():
            start = re.sub(r"[^\w.-]+", "-", "-".join(names)).strip("-")
            title = ", ".join(names)
            found[f"{start}-steps.svg"] = _against_steps(members, title)
            for word, label, figure in (
                ("ram", "RAM, KB", _ram),
                ("instructions", "instructions a step, millions", _instructions),
            ):
                text = _against_cost(members, title, label, figure)
                if text is not None:
                    found[f"{start}-{word}.svg"] = text
    return found


def _against_steps(groups: Sequence[GroupResult], title: str) -> str:
    """A panel for each scheme, in it a line for each rule: the mean, and a band of all seeds."""
    from matplotlib.figure import Figure

    schemes = list(dict.fromkeys(group.first.scheme_name for group in groups))
    colours = _colours(groups)
    columns = min(3, len(schemes))
    rows = -(-len(schemes) // columns)
    figure = Figure(figsize=(4.2 * columns, 3.2 * rows), layout="constrained")
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for panel, scheme in zip(panels, schemes, strict=False):
        for group in groups:
            if group.first.scheme_name != scheme:
                continue
            curves = [result.curve for result in group.chosen()]
            steps = [point["step"] for point in curves[0]]
            found = 100 * np.array([[point["accuracy"] for point in curve] for curve in curves])
            rule = group.first.rule.name
            panel.plot(steps, found.mean(axis=0), color=colours[rule], label=rule)
            panel.fill_between(
                steps, found.min(axis=0), found.max(axis=0), color=colours[rule], alpha=0.15, lw=0
            )
        panel.set_title(scheme)
        panel.set_xlabel("steps")
        panel.legend(fontsize="small")
    for panel in panels[len(schemes) :]:
        panel.remove()
    panels[0].set_ylabel("test accuracy, %")
    figure.suptitle(title)
    return _svg(figure)


def _against_cost(
    groups: Sequence[GroupResult],
    title: str,
    label: str,
    cost_of: Callable[[GroupResult], float | None],
) -> str | None:
    """A point for each scheme and rule, a line through the schemes of a rule."""
    from matplotlib.figure import Figure

    points: dict[str, list[tuple[float, float, str]]] = {}
    for group in groups:
        cost = cost_of(group)
        if cost is not None:
            accuracy = 100 * float(np.mean([result.accuracy for result in group.chosen()]))
            points.setdefault(group.first.rule.name, []).append(
                (cost, accuracy, group.first.scheme_name)
            )
    if not points:
        return None
    colours = _colours(groups)
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    panel = figure.subplots()
    for rule, found in points.items():
        ordered = sorted(found)
        panel.plot(
            [cost for cost, _, _ in ordered],
            [accuracy for _, accuracy, _ in ordered],
            marker="o",
            color=colours[rule],
            label=rule,
        )
        for cost, accuracy, scheme in ordered:
            panel.annotate(
                scheme,
                (cost, accuracy),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="x-small",
            )
    panel.set_xlabel(label)
    panel.set_ylabel("test accuracy, %")
    panel.set_title(title)
    panel.legend(fontsize="small")
    return _svg(figure)


def _ram(group: GroupResult) -> float | None:
    return group.cost["ram"]["total"] / 1024 if group.cost else None


def _instructions(group: GroupResult) -> float | None:
    counted = group.cost["instructions"] if group.cost else None
    return counted / 1e6 if counted else None


def _colours(groups: Sequence[GroupResult]) -> dict[str, Any]:
    """The same colour for a rule in every plot."""
    rules = dict.fromkeys(group.first.rule.name for group in groups)
    return {rule: f"C{index}" for index, rule in enumerate(rules)}


def _svg(figure: Any) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()
