"""Samples without labels on the digits' network: what is taken, what stops it, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from examples.digits import data as digits
from examples.digits.story import MODEL
from tests.support.onnx_models import quantized_model
from tinytrain import DataError, UsageError
from tinytrain.cli import main
from tinytrain.manifest import read_manifest

KNOWN, NEW = digits.as_trained(digits.TRAIN), digits.as_trained(digits.TEST)
TILTED, JUDGE = digits.as_it_is_now(digits.ADAPT), digits.as_it_is_now(digits.TEST)
LABELLED = [{"x": KNOWN.x[:256], "y": KNOWN.y[:256]}]


def compiled(place: Path, **options: Any) -> Path:
    tinytrain.compile_model(
        MODEL, output=place, calibration=LABELLED, scheme="head", pseudo_labels=True, **options
    )
    return place


@pytest.fixture(scope="module")
def rehearsing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("pseudo")
    return compiled(place / "own", enrol="knn:60", rehearsal_slots=40)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return compiled(tmp_path_factory.mktemp("pseudo") / "own", guard=64)


def test_what_is_known_is_taken_and_what_is_strange_is_left(guarded: Path) -> None:
    with tinytrain.load(guarded) as device:
        device.keep_apart(KNOWN.x[300:400], KNOWN.y[300:400])
        found = device.train_unlabelled(NEW.x[:200])
        taken = found.labels >= 0
        assert 0.4 < found.taken / 200 < 1.0 and len(found.losses) == found.taken
        assert np.mean(found.labels[taken] == NEW.y[:200][taken]) > 0.97
        record = read_manifest(guarded).pseudo_labels
        assert record is not None and record.taken > 0.8 and record.right > 0.98
        assert (found.distances[taken] <= record.far).all()
        strange = device.train_unlabelled(np.random.default_rng(0).random((50, 1, 8, 8)))
        assert strange.taken == 0
        assert device.unlabelled_counts == (found.taken, 250 - found.taken)


def test_a_few_enrolled_samples_make_those_of_a_new_camera_known(rehearsing: Path) -> None:
    few = np.concatenate([np.flatnonzero(TILTED.y == label)[:5] for label in range(10)])
    rest = np.setdiff1d(np.arange(len(TILTED.y)), few)
    with tinytrain.load(rehearsing) as device:
        assert device.train_unlabelled(TILTED.x[rest]).taken < 0.02 * len(rest)
        device.enrol(TILTED.x[few], TILTED.y[few])
        found = device.train_unlabelled(TILTED.x[rest])
        taken = found.labels >= 0
        assert taken.mean() > 0.2
        assert np.mean(found.labels[taken] == TILTED.y[rest][taken]) > 0.9
        old = device.evaluate(NEW.x, NEW.y).accuracy
        assert old is not None and old > 0.9


def test_wrong_pseudo_labels_are_undone(guarded: Path) -> None:
    """A world in which every class looks like the next one: all that it learns is wrong."""
    shift = (KNOWN.y[300:400] + 1) % 10
    with tinytrain.load(guarded) as device:
        device.keep_apart(KNOWN.x[300:400], shift)
        device.learning_rate = 0.1
        for _ in range(6):
            device.train_unlabelled(NEW.x)
        device.finish()
        checks = device.guard_checks()
        assert any(check.action == "restored" for check in checks)
        assert all(check.stream == 0.0 for check in checks)  # its own labels prove nothing


def test_a_session_says_what_became_of_them(
    rehearsing: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named, nameless = tmp_path / "named.npz", tmp_path / "nameless.npz"
    np.savez(named, x=NEW.x[:120], y=NEW.y[:120])
    np.savez(nameless, x=NEW.x[:120])
    words = ["simulate", rehearsing, "--unlabelled", "--steps", 120, "--eval", named]
    assert main([*map(str, words), "--data", str(named), "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    found = shown["unlabelled"]
    assert found["samples"] == 120 and shown["steps"] == found["taken"] > 50
    assert found["right"] > 0.97 and shown["enrolment"] is None
    assert shown["health"]["taken"] == found["taken"]
    assert shown["health"]["left"] == 120 - found["taken"]
    assert main([*map(str, words), "--data", str(nameless)]) == 0
    text = capsys.readouterr().out
    assert f"without labels: {found['taken']} of 120 samples were sure enough" in text
    assert "pseudo-labels are right" not in text
    strange = tmp_path / "strange.npz"
    np.savez(strange, x=np.random.default_rng(0).random((80, 1, 8, 8), np.float32))
    assert main([*map(str, words), "--data", str(strange)]) == 0
    assert "none of 120 samples without labels was sure enough" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "what", "way_out"),
    [
        ({}, "nothing here stops a model that learns wrong ones", "add --guard 128"),
        ({"guard": 9, "scheme": "full"}, "the scheme 'full' trains layers", "add --scheme head"),
        ({"guard": 9, "scheme": "none", "enrol": "ncm"}, "--guard is for what trains", "leave it"),
        ({"guard": 9, "loss": "huber"}, "of the loss huber has none", "leave out --pseudo-labels"),
        ({"guard": 9, "classes": 4}, "--classes 4 makes a head of new", "or --classes"),
        ({"guard": 9, "follow": "auto"}, "--pseudo-labels keeps what the frozen", "leave out one"),
        ({"guard": 9, "calibration": KNOWN.x[:80]}, "have labels of none", "with y, of all"),
    ],
)
def test_what_is_refused(options: dict[str, Any], what: str, way_out: str, tmp_path: Path) -> None:
    given = {"calibration": LABELLED, "scheme": "head", "pseudo_labels": True, **options}
    with pytest.raises(UsageError) as refused:
        tinytrain.compile_model(MODEL, output=tmp_path / "own", **given)
    assert what in refused.value.what and way_out in str(refused.value.help)
    assert not (tmp_path / "own").exists()


def test_features_that_tell_nothing_apart_are_refused(tmp_path: Path) -> None:
    labels = np.random.default_rng(1).integers(0, 10, 256)
    with pytest.raises(UsageError, match="does not tell the calibration samples apart"):
        tinytrain.compile_model(
            MODEL,
            output=tmp_path / "own",
            calibration=[{"x": KNOWN.x[:256], "y": labels}],
            scheme="head",
            pseudo_labels=True,
            guard=9,
        )


def test_sessions_that_are_refused(guarded: Path, rehearsing: Path, tmp_path: Path) -> None:
    data, nameless = tmp_path / "data.npz", tmp_path / "nameless.npz"
    np.savez(data, x=NEW.x[:20], y=NEW.y[:20])
    np.savez(nameless, x=NEW.x[:20])
    plain = tmp_path / "plain"
    tinytrain.compile_model(MODEL, output=plain, calibration=KNOWN.x[:32], scheme="head")
    cases: list[tuple[Path, dict[str, Any], str]] = [
        (plain, {}, "learns from no sample without a label"),
        (guarded, {}, "the guard has no labelled samples"),
        (rehearsing, {"fill": data}, "are not remembered, and --fill"),
        (rehearsing, {"replay_steps": 2}, "are not remembered, and --replay-steps"),
        (rehearsing, {"follow": True}, "follows drift"),
        (rehearsing, {"order": "by-class"}, "nameless.npz has no labels, and --order by-class"),
    ]
    for folder, options, what in cases:
        with pytest.raises(UsageError) as refused:
            tinytrain.simulate(folder, data=nameless, steps=3, unlabelled=True, **options)
        assert what in refused.value.what
        assert refused.value.help
    with pytest.raises(DataError, match="no array 'y' of labels"):
        tinytrain.simulate(guarded, data=nameless, steps=3)
    refusal = pytest.raises(UsageError, match="learns from no sample without a label")
    with tinytrain.load(plain) as device, refusal:
        device.train_unlabelled(NEW.x[:1])
    with tinytrain.load(guarded) as device:
        with pytest.raises(UsageError, match="the guard has no labelled samples") as refused:
            device.train_unlabelled(NEW.x[:1])
        assert "keep_apart" in str(refused.value.help)


def test_a_class_without_labels_is_named(tmp_path: Path) -> None:
    few = np.flatnonzero(KNOWN.y[:256] < 8)
    product = tinytrain.compile_model(
        MODEL,
        output=tmp_path / "own",
        calibration=[{"x": KNOWN.x[few], "y": KNOWN.y[few]}],
        scheme="head",
        pseudo_labels=True,
        guard=9,
    )
    (warning,) = product.manifest.warnings
    assert "does not know the model's classes 8, 9, and may take samples of them" in warning


def test_fewer_labels_than_classes_are_named(tmp_path: Path) -> None:
    model = quantized_model(tmp_path / "model.onnx", shape=(1, 3, 12, 12))
    x = np.random.default_rng(0).random((80, 3, 12, 12), np.float32)
    with pytest.raises(UsageError, match="the calibration samples have labels of 1"):
        tinytrain.compile_model(
            str(model),
            output=tmp_path / "own",
            calibration=[{"x": x, "y": np.zeros(80, np.int64)}],
            scheme="head",
            pseudo_labels=True,
            guard=9,
        )
