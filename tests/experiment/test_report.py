"""Tables and plots of an experiment."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support.experiments import FILE, write_experiment
from tinytrain.experiments.plots import plots_of
from tinytrain.experiments.report import csv_text, markdown_text, mean_and_spread
from tinytrain.experiments.results import GroupResult, warnings_of
from tinytrain.experiments.spec import Experiment
from tinytrain.experiments.toml_file import load_experiment


@pytest.fixture
def experiment(tmp_path: Path) -> Experiment:
    text = FILE + '[rules.nearest]\nupdate = "nearest"\n'
    return load_experiment(write_experiment(tmp_path, text))


def groups_of(experiment: Experiment) -> list[GroupResult]:
    """All of the first seed, and the second at one rate; a loss of the first rule is not finite."""
    groups = []
    for number, runs in enumerate(experiment.groups()):
        group = GroupResult(runs, cost=cost(number))
        for k, run in enumerate(runs[:3]):
            last = 0.5 + 0.1 * k
            curve = [point(0, 0.25), point(15, 0.4), point(30, last)]
            if (number, k) == (0, 0):
                curve[-1]["loss"] = None
            group.take(run, {"curve": curve, "not_finite": number, "weights_sha256": "a" * 64})
        groups.append(group)
    return groups


def point(step: int, accuracy: float) -> dict[str, float | None]:
    return {"step": step, "accuracy": accuracy, "loss": 1.0 - accuracy, "train_loss": 1.5}


def cost(number: int) -> dict[str, object]:
    ram = {"trained parameters": 100, "total": 2048 * (number + 1)}
    return {"ram": ram, "instructions": 3_000_000 if number else None}


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], "-"),
        ([71.26], "71.3"),
        ([70.0, 72.0], "71.0 ± 1.4"),
        ([1.0, float("inf")], "not finite"),
    ],
)
def test_mean_and_spread(values: list[float], text: str) -> None:
    assert mean_and_spread(values, 1) == text


def test_tables(experiment: Experiment) -> None:
    groups = groups_of(experiment)
    lines = markdown_text(
        experiment, groups, "tinytrain experiment small.toml", [], []
    ).splitlines()
    # Of the first seed the second rate is better; of the second seed only the first rate is there.
    assert "| last | shipped | 0.02 | 60.0 | 0.400 | 1 | 2,048 | 100 | - |" in lines
    assert "| last | nearest | 0.02 | 60.0 | 0.400 | 1 | 4,096 | 100 | 3,000,000 |" in lines
    assert "| last | shipped | 50.0 | 60.0 |" in lines
    rows = csv_text(groups).splitlines()
    assert len(rows) == 1 + 2 * 3 * 3
    assert rows[3] == "small,noise,last,shipped,c,0.01,4,0,30,0.500000,,1.500000,0," + "a" * 64
    assert rows[4] == "small,noise,last,shipped,c,0.02,4,1,0,0.250000,0.750000,1.500000,,"


def test_plots_are_the_same_every_time(experiment: Experiment) -> None:
    pytest.importorskip("matplotlib")
    plots = plots_of(groups_of(experiment))
    assert list(plots) == [
        "small-noise-steps.svg",
        "small-noise-ram.svg",
        "small-noise-instructions.svg",
    ]
    assert plots_of(groups_of(experiment)) == plots
    for text in plots.values():
        root = ElementTree.fromstring(text)
        assert root.tag.endswith("svg")
        assert "<dc:date>" not in text
    # Nothing was counted for the first rule.
    assert "shipped" in plots["small-noise-ram.svg"]
    assert "shipped" not in plots["small-noise-instructions.svg"]


def test_warnings_of_runs_are_told_once(experiment: Experiment) -> None:
    groups = groups_of(experiment)
    assert "## Warnings" not in markdown_text(experiment, groups, "command", [], [])
    for group in groups:
        for run in group.runs[:2]:
            record = {"curve": [point(0, 0.5)], "not_finite": 0, "warnings": ["d, test is odd"]}
            group.take(run, record)
    text = markdown_text(experiment, groups, "command", [], [])
    name = groups[0].first.model.name
    assert text.count(f"## Warnings\n\n- {name}: d, test is odd\n") == 1
    assert warnings_of(groups) == (f"{name}: d, test is odd",)
