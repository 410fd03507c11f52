"""The trial of a folder: what is taken is compared and trained, what is refused has its reasons."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from onnx import helper

from bench.trial.trial import try_model
from bench.try_models import main
from tests.support.onnx_models import conv, conv_weights, float_model, save


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("models")
    float_model(place / "good.onnx")
    nodes = [conv(result="a"), helper.make_node("Det", ["a"], ["b"], name="my_det")]
    nodes.append(helper.make_node("Celu", ["b"], ["c"], name="my_celu"))
    nodes.append(helper.make_node("NonZero", ["c"], ["y"], name="my_nonzero"))
    save(place / "bad.onnx", nodes, {"w": conv_weights()})
    return place


def test_a_good_model_is_right_and_learns(folder: Path) -> None:
    trial = try_model(folder / "good.onnx")
    assert trial.taken, trial.reasons
    assert trial.is_right and trial.correlation is not None and trial.correlation > 0.999
    assert trial.count == 128 and trial.inputs == "normal"
    assert trial.training is not None and trial.training.after < 0.9 * trial.training.before


def test_a_model_with_several_inputs_is_told_from_one_that_fails(tmp_path: Path) -> None:
    nodes = [conv(result="a"), helper.make_node("Add", ["a", "u"], ["y"])]
    inputs = {"x": (1, 3, 6, 6), "u": (1, 4, 4, 4)}
    model = save(tmp_path / "two.onnx", nodes, {"w": conv_weights()}, inputs=inputs)
    trial = try_model(model)
    assert trial.stage == "inputs"
    assert trial.reasons[0].startswith("the model has 2 inputs; samples are drawn for one")


def test_inputs_beside_the_file_are_used(folder: Path, tmp_path: Path) -> None:
    model = float_model(tmp_path / "good.float.onnx")
    np.savez(tmp_path / "good.npz", x=np.full((4, 3, 6, 6), 2.0, np.float32))
    trial = try_model(model)
    assert trial.inputs == "like good.npz"
    assert trial.correlation is not None and trial.correlation > 0.99


def test_the_command_lists_every_reason(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    everything = folder / "everything.json"
    monkeypatch.setattr(sys, "argv", ["try_models", str(folder), "--json", str(everything)])
    assert main() == 0
    printed = capsys.readouterr().out
    assert "bad.onnx: operation 'Det' is not supported (node 'my_det') | help: " in printed
    assert "bad.onnx: operation 'NonZero' is not supported (node 'my_nonzero') | help: " in printed
    assert "1 of 2 taken; 1 of 1 that could be compared agree" in printed
    ((_, trials),) = json.loads(everything.read_text()).items()
    assert [trial["stage"] for trial in trials] == ["import", None]
