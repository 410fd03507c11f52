"""Watching from Python: a session, the same call by call, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tinytrain
from tests.support.paths import ROOT
from tinytrain import DataError, UsageError
from tinytrain.cli import main
from tinytrain.simulation.watch_result import area_under_curve

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
RNG = np.random.default_rng(0)
NORMAL = np.clip(RNG.normal(0.3, 0.1, (120, 1, 8, 8)), 0, 1).astype(np.float32)
ODD = RNG.choice(2, (20, 1, 8, 8)).astype(np.float32)
EVAL = np.concatenate([NORMAL[:20], ODD])
FAULT = np.repeat([0, 1], 20)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("watch") / "own"
    tinytrain.compile_model(
        DIGITS,
        output=place,
        calibration=np.concatenate([NORMAL, ODD]),
        scheme="head",
        anomaly="diagonal",
        anomaly_warm_up=32,
    )
    return place


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    place = tmp_path_factory.mktemp("data")
    np.savez(place / "data.npz", x=NORMAL)
    np.savez(place / "eval.npz", x=EVAL, y=FAULT)
    return place / "data.npz", place / "eval.npz"


def test_a_session_is_what_the_calls_of_a_device_give(
    folder: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    data, evaluation = files
    session = tinytrain.watch(
        folder, data=data, eval=evaluation, save=tmp_path / "session", scores=tmp_path / "scores"
    )
    device = tinytrain.load(folder)
    found = device.watch(NORMAL)
    assert session.scores == tuple(found.scores.tolist())
    assert (tmp_path / "scores").read_text().split() == [repr(s) for s in session.scores]
    assert found.verdicts[:32] == ("warming up",) * 32 and found.verdicts[32] == "normal"
    assert session.learned == found.learned.sum() and session.watched == 120
    device.save(tmp_path / "device")
    assert (tmp_path / "device").read_bytes() == (tmp_path / "session").read_bytes()

    judged = device.score(EVAL)
    assert session.auc == area_under_curve(judged.scores, FAULT.astype(bool)) > 0.9
    assert session.detected == judged.flagged[20:].mean()
    assert session.false_alarms == judged.flagged[:20].mean()
    assert judged.predictions.tolist() == device.predict(EVAL).argmax(1).tolist()
    assert session.threshold == judged.thresholds[-1]

    # Three in a row are an alarm; who knows better corrects it; forgetting warms up anew.
    odd = ODD[judged.flagged[20:]]
    assert device.watch(odd[:3]).verdicts == ("normal", "normal", "anomalous")
    assert device.learn_normal(odd[0]).verdicts == ("normal",)
    device.forget_normal()
    assert device.watch(ODD[0]).verdicts == ("warming up",)
    assert "samples=1" in repr(device.watch(ODD[0]))


def test_a_session_goes_on_from_a_saved_file(
    folder: Path, files: tuple[Path, Path], tmp_path: Path
) -> None:
    whole, part = tmp_path / "whole", tmp_path / "part"
    tinytrain.watch(folder, data=files[0], steps=80, save=whole)
    tinytrain.watch(folder, data=files[0], steps=40, save=part)
    np.savez(tmp_path / "rest.npz", x=NORMAL[40:80])
    tinytrain.watch(folder, data=tmp_path / "rest.npz", load=part, save=part)
    assert part.read_bytes() == whole.read_bytes()


def test_a_warm_up_that_is_not_over(
    folder: Path, files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """No figure needs a threshold that there is none of."""
    found = tinytrain.watch(folder, data=files[0], eval=files[1], steps=31)
    assert found.warming_up and found.warm_up == 32 and found.auc is not None
    nothing = found.threshold, found.detected, found.false_alarms, found.flagged, found.auc_before
    assert nothing == (None,) * 5
    stages: set[str] = set()
    tinytrain.watch(folder, data=files[0], progress=lambda stage, *_: stages.add(stage))
    assert "watch" in stages and "train" not in stages
    words = ["watch", folder, "--data", files[0], "--eval", files[1], "--steps"]
    for steps, is_told in ((31, True), (32, False)):
        assert main([*map(str, words), str(steps)]) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert ("the warm-up is not over: 32 samples" in shown) == is_told
        assert ("detected" in shown) != is_told
    for steps in (31, 32):
        alone = tinytrain.watch(folder, data=files[0], steps=steps)
        assert alone.warming_up == (steps < 32)


def test_flags_of_a_file(folder: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    file = tmp_path / "eval.npz"
    np.savez(file, x=EVAL, y=FAULT + 5, fault=FAULT)
    assert tinytrain.watch(folder, data=files[0], eval=file).auc is not None
    for arrays in ({}, {"y": FAULT[:3]}, {"y": FAULT + 1}):
        np.savez(file, x=EVAL, **arrays)
        with pytest.raises(DataError, match="need 40 numbers, 1 for each sample that is not norm"):
            tinytrain.watch(folder, data=files[0], eval=file)


def test_an_autoencoder_is_watched_by_its_error(tmp_path: Path) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(16, 6), nn.ReLU(), nn.Linear(6, 16))
    torch.onnx.export(network, (torch.zeros(1, 16),), tmp_path / "ae.onnx", dynamo=False)
    x = (RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 16))).astype(np.float32)
    options = {"loss": "mean_squared_error", "calibration": x, "anomaly_warm_up": 100}
    tinytrain.compile_model(
        tmp_path / "ae.onnx", output=tmp_path / "own", anomaly="error", **options
    )
    device = tinytrain.load(tmp_path / "own")
    odd = RNG.choice([-2.5, 2.5], (40, 16)).astype(np.float32)
    before = device.score(x[:40]).scores.mean()
    for _ in range(8):
        device.watch(x)
    assert device.score(x[:40]).scores.mean() < 0.8 * before
    scores = np.concatenate([device.score(x[:40]).scores, device.score(odd).scores])
    area = area_under_curve(scores, np.repeat([False, True], 40))
    assert area is not None and area > 0.9
    assert device.score(odd).predictions.tolist() == [-1] * 40


def test_what_is_refused(folder: Path, files: tuple[Path, Path], tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    tinytrain.compile_model(DIGITS, output=plain, calibration=NORMAL, scheme="head")
    for call in (
        lambda: tinytrain.watch(plain, data=files[0]),
        lambda: tinytrain.load(plain).watch(NORMAL),
        lambda: tinytrain.load(plain).forget_normal(),
    ):
        with pytest.raises(UsageError, match="does not tell what is not normal"):
            call()
    with pytest.raises(UsageError, match="an emulator only"):
        tinytrain.watch(folder, data=files[0], icount=True)
    with pytest.raises(UsageError, match="trained toward labels"):
        tinytrain.compile_model(
            DIGITS, output=plain, calibration=NORMAL, scheme="head", anomaly="error"
        )


def test_the_area_under_the_curve() -> None:
    flags = np.array([False, False, True, True])
    assert area_under_curve(np.array([1.0, 2.0, 3.0, 4.0]), flags) == 1.0
    assert area_under_curve(np.array([1.0, 3.0, 3.0, 4.0]), flags) == 0.875
    assert area_under_curve(np.array([4.0, 3.0, 2.0, 1.0]), flags) == 0.0
    assert area_under_curve(np.array([1.0]), np.array([True])) is None
