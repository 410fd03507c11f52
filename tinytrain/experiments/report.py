"""What an experiment gave, as a CSV file and as tables in Markdown."""

from __future__ import annotations

import csv
import hashlib
import io
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import metadata
from typing import Any

import numpy as np

from tinytrain.experiments.identity import code_digest, data_digest
from tinytrain.experiments.results import GroupResult, RunResult, warnings_of
from tinytrain.experiments.spec import Experiment
from tinytrain.version import __version__

COLUMNS = (
    "model data scheme rule engine rate seed chosen step accuracy loss train_loss not_finite "
    "weights_sha256"
).split()

MEASURED = ("balanced_accuracy", "accuracy_old", "balanced_accuracy_old")
"""Columns behind them, those of which some evaluation has a figure."""

_ORDER = {"shuffled": "in a new random order each epoch", "by-class": "sorted by class"}


def csv_text(groups: Sequence[GroupResult]) -> str:
    """A row for each run and evaluation; `chosen` is 1 at the best rate, which the tables show."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    points = [point for group in groups for one in group.done() for point in one.curve]
    measured = [key for key in MEASURED if any(point.get(key) is not None for point in points)]
    writer.writerow([*COLUMNS, *measured])
    for group in groups:
        best = group.best_rate()
        for result in group.done():
            run = result.run
            names = run.model.name, run.data.name, run.scheme_name, run.rule.name, run.rule.engine
            last = result.not_finite, result.weights_sha256
            for point in result.curve:
                writer.writerow(
                    [
                        *names,
                        "" if run.rule.enrols else f"{run.rate:.9g}",
                        run.seed,
                        int(run.rate == best),
                        point["step"],
                        *(_figure(point[key]) for key in ("accuracy", "loss", "train_loss")),
                        *(last if point is result.curve[-1] else ("", "")),
                        *(_figure(point.get(key)) for key in measured),
                    ]
                )
    return out.getvalue()


def _figure(value: float | None) -> str:
    return "" if value is None else f"{value:.6f}"


def markdown_text(
    experiment: Experiment,
    groups: Sequence[GroupResult],
    command: str,
    plots: Sequence[str],
    failures: Sequence[tuple[str, str]],
) -> str:
    """Everything that someone needs to see, and to do it again.

    Args:
        command: as a user types it.
        plots: file names beside the Markdown file.
        failures: titles and reasons of what failed.
    """
    lines = [f"# {experiment.name}", "", f"    {command}", "", *_conditions(experiment, groups), ""]
    for title, members in _by_model_and_data(groups):
        lines += [f"## {title}", "", *_accuracies(members), ""]
        if any(result.unequal for group in members for result in group.done()):
            lines += [*_recalls(members), ""]
        if any(len({run.rate for run in group.runs}) > 1 for group in members):
            lines += [*_rates(members), ""]
    lines += [f"![{name.removesuffix('.svg')}]({name})\n" for name in plots]
    if warnings := warnings_of(groups):
        lines += ["## Warnings", "", *(f"- {sentence}" for sentence in warnings), ""]
    if failures:
        lines += ["## Failed", ""]
        lines += [f"- {title}: {reason.splitlines()[0]}" for title, reason in failures] + [""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _by_model_and_data(groups: Sequence[GroupResult]) -> Iterator[tuple[str, list[GroupResult]]]:
    members: dict[str, list[GroupResult]] = {}
    for group in groups:
        title = f"{group.first.model.name}, {group.first.data.name}"
        members.setdefault(title, []).append(group)
    yield from members.items()


def _conditions(experiment: Experiment, groups: Sequence[GroupResult]) -> list[str]:
    """What decided the figures below."""
    length = f"{experiment.epochs} epochs" if experiment.epochs else f"{experiment.steps:,} steps"
    seeds = len(experiment.seeds)
    lines = [
        f"{length} at batch 1, samples {_ORDER[experiment.order]}; {seeds} "
        f"seed{'s' if seeds > 1 else ''}, of the order of the samples, of a fresh head and of "
        "stochastic rounding. Accuracy is of the test samples after the last step: mean ± standard "
        "deviation over the seeds.",
    ]
    if any(group.first.rule.enrols for group in groups):
        lines += [
            "",
            "Where the scheme is none nothing trains: of the same samples each is enrolled once, "
            "and an instruction count is that of an enrolment.",
        ]
    if any(len({run.rate for run in group.runs}) > 1 for group in groups):
        lines += [
            "",
            "Of several learning rates, each rule takes the one with the best accuracy (balanced, "
            f"where classes are unequal) on seed {experiment.seeds[0]}; the other seeds run with "
            "that one alone.",
        ]
    lines += [
        "",
        f"RAM, with everything counted, and instructions are those of {_target(experiment)}.",
        "",
    ]
    for rule in {group.first.rule.name: group.first.rule for group in groups}.values():
        given = {"engine": rule.engine, **rule.options}
        if rule.replay_steps:
            given["replay_steps"] = rule.replay_steps
        if rule.rehearsal_steps:
            given["rehearsal_steps"] = rule.rehearsal_steps
        lines.append(f"- rule {rule.name}: " + ", ".join(f"{k} {v}" for k, v in given.items()))
    for spec in {group.first.model: None for group in groups}:
        digest = hashlib.sha256(spec.path.read_bytes()).hexdigest()
        done = (one for group in groups if group.first.model is spec for one in group.done())
        images = {one.images: None for one in done if one.images is not None}
        said = "".join(f"; {sentence}" for sentence in images)
        lines.append(f"- model {spec.name}: `{spec.path.name}`, SHA-256 {digest[:16]}{said}")
    for data in {group.first.data: None for group in groups}:
        names = ", ".join(f"`{file.name}`" for file in data.files())
        lines.append(f"- data {data.name}: {names}, SHA-256 {data_digest(data)[:16]}")
    packages = ["numpy"]
    if any(group.first.rule.engine != "c" for group in groups):
        packages.append("torch")
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
    file = hashlib.sha256(experiment.file.read_bytes()).hexdigest()
    lines.append(
        f"- `{experiment.file.name}`, SHA-256 {file[:16]}; tinytrain {__version__}, sources "
        f"{code_digest()[:16]}; {versions}"
    )
    return lines


def _target(experiment: Experiment) -> str:
    return f"`{experiment.target.rpartition('/')[2]}`"


def figures_shown(groups: Sequence[GroupResult]) -> dict[str, str]:
    """Titles of the columns of accuracies, in percent, with the figure that each shows."""
    results = [result for group in groups for result in group.done()]
    shown = {"accuracy, %": "accuracy"}
    if any(result.unequal for result in results):
        shown = {"balanced accuracy, %": "balanced_accuracy", **shown}
    if any(result.last("accuracy_old") is not None for result in results):
        shown["old task, %"] = "accuracy_old"
    if len(shown) > 1 and any(
        result.last("balanced_accuracy_old") is not None for result in results
    ):
        shown["old task, balanced, %"] = "balanced_accuracy_old"
    return shown


def percent(results: Sequence[RunResult], figure: str) -> str:
    """Mean and spread of a figure after the last step; a dash where it was not measured."""
    found = [result.last(figure) for result in results]
    return mean_and_spread([100 * value for value in found if value is not None], 1)


def _accuracies(groups: Sequence[GroupResult]) -> list[str]:
    shown = figures_shown(groups)
    costs = _costs_shown(groups)
    lines = [
        f"| scheme | rule | rate | {' | '.join(shown)} | loss | seeds | {' | '.join(costs)} |",
        f"|---|---|---:|{'---:|' * (len(shown) + 2 + len(costs))}",
    ]
    for group in groups:
        chosen = group.chosen()
        losses = [result.loss for result in chosen if result.loss is not None]
        cells = [
            group.first.scheme_name,
            group.first.rule.name,
            rate_shown(group),
            *(percent(chosen, figure) for figure in shown.values()),
            mean_and_spread(losses, 3),
            str(len(chosen)),
            *(_count(figure(group.cost)) if group.cost else "-" for figure in costs.values()),
        ]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def rate_shown(group: GroupResult) -> str:
    """The best rate; a dash where there is none."""
    rate = group.best_rate()
    return "-" if rate is None or group.first.rule.enrols else f"{rate:.4g}"


def _costs_shown(groups: Sequence[GroupResult]) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """Titles of the columns of costs, with where a record of a rule's cost has the figure."""
    shown: dict[str, Callable[[Mapping[str, Any]], Any]] = {
        "RAM, bytes": lambda cost: cost["ram"]["total"],
        "trained, bytes": lambda cost: cost["ram"].get("trained parameters", 0),
    }
    if any(group.first.rule.enrols for group in groups):
        shown["enrolled, bytes"] = lambda cost: cost["ram"].get("enrolled classes")
    if any(group.cost and group.cost.get("flash_total") for group in groups):
        shown["flash, bytes"] = lambda cost: cost.get("flash_total")
    return {**shown, "instructions a step": lambda cost: cost["instructions"]}


def _count(value: int | None) -> str:
    return f"{value:,}" if value is not None else "-"


MOST_CLASSES = 20
"""Classes whose recalls are shown: of more, the rarest say too little."""


def _recalls(groups: Sequence[GroupResult]) -> list[str]:
    """Accuracy of each class, which is its recall, a column for each class."""
    known = [result.class_accuracy for group in groups for result in group.chosen()]
    labels = range(max(map(len, known), default=0))
    there = [k for k in labels if any(each[k] is not None for each in known if k < len(each))]
    there = there[:MOST_CLASSES]
    lines = [
        "One class has at least twice as many test samples as another: the balanced accuracy, the "
        "mean of the recalls of the classes, decides. Recall by class, %:",
        "",
        "| scheme | rule | " + " | ".join(map(str, there)) + " |",
        "|---|---|" + "---:|" * len(there),
    ]
    for group in groups:
        chosen = [result.class_accuracy for result in group.chosen() if result.class_accuracy]
        values = ([100 * (each[k] or 0.0) for each in chosen] for k in there)
        cells = [group.first.scheme_name, group.first.rule.name]
        cells += [mean_and_spread(found, 1) for found in values]
        lines.append("| " + " | ".join(cells) + " |")
    return lines


def _rates(groups: Sequence[GroupResult]) -> list[str]:
    groups = [group for group in groups if not group.first.rule.enrols]
    rates = sorted({run.rate for group in groups for run in group.runs})
    seed = groups[0].first.seed
    unequal = any(result.unequal for group in groups for result in group.done())
    lines = [
        f"{'Balanced accuracy' if unequal else 'Accuracy'} on seed {seed} by learning rate, %:",
        "",
        "| scheme | rule | " + " | ".join(f"{rate:.4g}" for rate in rates) + " |",
        "|---|---|" + "---:|" * len(rates),
    ]
    for group in groups:
        found = {
            result.run.rate: result.score for result in group.done() if result.run.seed == seed
        }
        cells = [f"{100 * found[rate]:.1f}" if rate in found else "-" for rate in rates]
        names = [group.first.scheme_name, group.first.rule.name]
        lines.append("| " + " | ".join([*names, *cells]) + " |")
    return lines


def mean_and_spread(values: Sequence[float], digits: int) -> str:
    """Mean ± standard deviation of a sample; the deviation is left out for a single value."""
    if not values:
        return "-"
    if not np.isfinite(values).all():
        return "not finite"
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
