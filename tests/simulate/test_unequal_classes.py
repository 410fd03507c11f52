"""Sessions with unequal classes, an old task or one class alone: figures, tables, advice."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support import one_output
from tinytrain.cli import main
from tinytrain.errors import UsageError
from tinytrain.reference.class_health import ABSENT, ClassCounts, absent_after, count_step, trend
from tinytrain.simulation.engine import Evaluation
from tinytrain.simulation.scores import are_unequal, parted
from tinytrain.simulation.session import simulate


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of two classes, for its target under emulation, too."""
    place = tmp_path_factory.mktemp("unequal")
    options = {"weight_headroom": 4.0}
    return one_output.compiled(place, ends_in_sigmoid=True, **options).directory


def samples(path: Path, *, positives: int, negatives: int, seed: int = 0) -> Path:
    """Vectors whose label is whether the first element is the larger of two, positives first."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(positives + negatives, 6)).astype(np.float32)
    wanted = np.arange(len(x)) < positives
    swapped = (x[:, 0] > x[:, 1]) != wanted
    x[swapped, :2] = x[swapped, 1::-1]
    np.savez(path, x=x, y=wanted.astype(np.int64))
    return path


def test_when_classes_are_unequal() -> None:
    assert not are_unequal(np.array([0, 0, 0, 1, 1]))
    assert are_unequal(np.array([0, 0, 1, 2, 2])) and not are_unequal(np.array([4]))


def test_an_evaluation_of_two_sets_is_parted() -> None:
    first, second = parted(Evaluation((1, 2, 3)), 2)
    assert (first.predictions, second.predictions) == ((1, 2), (3,))


def test_an_old_task_and_a_rare_class(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rare = samples(tmp_path / "rare.npz", positives=4, negatives=36)
    old = samples(tmp_path / "old.npz", positives=15, negatives=15, seed=1)
    session = ("simulate", folder, "--data", rare, "--eval", rare, "--eval-old", old,
               "--steps", 60, "--evaluate-every", 20, "--confusion")  # fmt: skip
    assert main([*map(str, session), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    each = figures["class_accuracy_after"]
    assert figures["unequal_classes"] is True
    assert figures["balanced_accuracy_after"] == pytest.approx(np.mean(each))
    matrix = figures["confusion"]["after"]
    assert [sum(row) for row in matrix] == [36, 4] and matrix[1][1] == 4 * each[1]
    precise = 2 * matrix[0][0] / (36 + matrix[0][0] + matrix[1][0])
    assert figures["confusion"]["f1_after"][0] == pytest.approx(precise)
    assert [point["accuracy_old"] is not None for point in figures["curve"]] == [True] * 3
    # Each set gives the figures that it gives alone, at the same weights.
    alone = simulate(folder, data=rare, eval=old, steps=60, evaluate_every=20)
    assert alone.weights_sha256 == figures["weights_sha256"]
    told = figures["old"]
    assert told["accuracy_after"] == alone.accuracy_after
    assert told["forgetting"] == alone.forgetting
    assert told["balanced_accuracy_before"] == alone.balanced_accuracy_before
    assert [p["balanced_accuracy_old"] for p in figures["curve"]] == [
        p.balanced_accuracy for p in alone.curve
    ]
    judged = simulate(folder, data=rare, eval=rare, steps=60, evaluate_every=20)
    assert [p["loss"] for p in figures["curve"]] == [p.loss for p in judged.curve]
    assert main([*map(str, session)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("balanced accuracy before") < shown.index("accuracy after")
    for part in (
        "old task: forgetting",
        "old, balanced",
        "classes are unequal",
        "precision",
        "as 1",
    ):
        assert part in shown
    assert "None" not in shown and "0000000" not in shown


def test_an_old_task_needs_a_new_one(folder: Path, tmp_path: Path) -> None:
    old = samples(tmp_path / "old.npz", positives=2, negatives=2)
    with pytest.raises(UsageError, match="evaluated beside those of the new one"):
        simulate(folder, data=old, eval_old=old, steps=1)


def test_one_sample_and_no_figure_that_was_not_measured(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = samples(tmp_path / "one.npz", positives=1, negatives=0)
    arguments = "simulate", folder, "--data", one, "--eval", one, "--steps", 1
    assert main(list(map(str, arguments))) == 0
    shown = capsys.readouterr().out
    for absent in ("None", "mse", "instructions", "replay", "stopped", "best", " - "):
        assert absent not in shown


def test_the_order_of_the_file_is_kept(folder: Path, tmp_path: Path) -> None:
    """Positives first: a stream of one class, of which health warns before the other is gone."""
    stream = samples(tmp_path / "alone.npz", positives=80, negatives=1)
    judge = samples(tmp_path / "judge.npz", positives=50, negatives=50, seed=2)
    mixed = simulate(folder, data=judge, eval=judge, steps=1000)
    assert mixed.health is not None and not any("label 1" in s for s in mixed.health.advice)
    alone = simulate(folder, data=stream, eval=judge, steps=80, order="as-is")
    assert alone.health is not None
    assert any("all of the latest 80 steps had label 1" in s for s in alone.health.advice)
    longer = simulate(folder, data=stream, steps=83, order="as-is")
    assert longer.health is not None
    counts = [(one.labels, one.since) for one in longer.health.classes]
    assert counts == [(1, 2), (82, 0)]


def test_how_long_a_class_may_be_absent_follows_the_rate() -> None:
    fade = 32 * 0.03
    assert absent_after(2, fade, np.float32(0.03)) in (31, 32)
    assert absent_after(2, fade, np.float32(0.003)) in (319, 320)
    assert absent_after(100, fade, np.float32(0.03)) == 800
    assert absent_after(2, fade, np.float32(0.0)) == absent_after(2, 0.0, np.float32(0.0)) == 65535
    counts = [ClassCounts(), ClassCounts()]
    seen = []
    for step in range(40):
        count_step(counts, 0, 0)
        seen += [step + 1] if trend(counts, 1, 32) == ABSENT else []
    assert seen[0] == 32
