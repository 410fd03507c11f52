"""The cases of bench/adapting: their table, and a run of one against `simulate`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.adapting import running
from bench.adapting.cases import CASE, CASES
from bench.adapting.running import Runner, Scores
from bench.adapting.worlds import unknown_fault
from tinytrain.simulation.session import simulate


def test_cases_are_told_apart_and_say_which_task_counts() -> None:
    assert len(CASE) == len(CASES) == len({case.title for case in CASES})
    assert {case.keep for case in CASES} == {"new", "old"}
    assert {case.task for case in CASES} == {"classes", "normal"}


def test_recall_counts_each_class_alike() -> None:
    labels = np.array([0, 0, 0, 0, 2, 2], np.int32)
    scores = Scores(labels, np.array([0, 0, 0, 0, 2, 1], np.int32), np.zeros(6, np.float32))
    assert scores.recall == {0: 1.0, 2: 0.5}
    assert scores.balanced == 0.75
    assert scores.accuracy == 5 / 6


def test_who_learns_what_is_normal_is_judged_by_faults_and_learns_none() -> None:
    parts = unknown_fault()
    assert parts.learn.y is None
    assert parts.judge.y is not None
    assert set(parts.judge.y) == {0, 1}


@pytest.mark.slow
def test_a_run_is_that_of_simulate(tmp_path: Path) -> None:
    """Schedule, order, features that are computed once, and both evaluations."""
    case = CASE["digits-both"]
    product = running.compiled(case, tmp_path / "model", schedule="constant")
    runner = Runner(case, product.directory)
    runner.run(0.1, seed=4, steps=10)
    outcome = runner.run(0.01, "step:20:0.5", seed=3, steps=50)
    scheduled = running.compiled(case, tmp_path / "other", schedule="step:20:0.5")
    files = running.files(case)
    result = simulate(
        scheduled.directory,
        data=files["learn"],
        eval=files["past"],
        steps=50,
        seed=3,
        learning_rate=0.01,
    )
    assert outcome.weights_sha256 == result.weights_sha256
    assert outcome.past_before is not None and outcome.past_after is not None
    assert outcome.past_before.accuracy == result.accuracy_before
    assert outcome.past_after.accuracy == result.accuracy_after
