"""Replay and streams from the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import CLASSES, SHAPE, quantized_model
from tinytrain.cli import main


def call(*arguments: object) -> None:
    assert main([str(argument) for argument in arguments]) == 0


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Four classes that differ in their means."""
    rng = np.random.default_rng(0)
    y = np.arange(80) % CLASSES
    mean = rng.standard_normal((CLASSES, SHAPE[1], 1, 1))
    x = mean[y] + 0.5 * rng.standard_normal((80, *SHAPE[1:]))
    np.savez(tmp_path / "data.npz", x=x.astype(np.float32), y=y)
    return tmp_path / "data.npz"


def test_a_stream_sorted_by_class(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = quantized_model(tmp_path / "small.onnx")
    out = tmp_path / "out"
    call("compile", model, "-o", out, "--scheme", "last-1", "--replay", 12)
    assert "12 of 216 bytes, 2,592 in all, in RAM" in capsys.readouterr().out
    stream = ("simulate", out, "--data", data, "--eval", data, "--order", "by-class")
    found = {}
    for replay_steps in (0, 2):
        arguments = (*stream, "--steps", 80, "--learning-rate", 0.05)
        call(*arguments, "--replay-steps", replay_steps, "--json")
        found[replay_steps] = json.loads(capsys.readouterr().out)
        assert found[replay_steps]["replay_steps"] == replay_steps
        assert len(found[replay_steps]["class_accuracy_after"]) == CLASSES
        assert 0.0 <= found[replay_steps]["forgetting"] <= 1.0
        assert 0.0 <= found[replay_steps]["accuracy_new"] <= 1.0
    assert found[0]["weights_sha256"] != found[2]["weights_sha256"]
    call(*stream, "--steps", 3)
    told = capsys.readouterr().out
    assert "replay steps" in told and "change" in told


def test_slots_in_flash_and_a_session_that_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = quantized_model(tmp_path / "small.onnx")
    out, saved = tmp_path / "out", tmp_path / "saved.bin"
    call("compile", model, "-o", out, "--replay", 5, "--replay-in", "flash")
    assert "in flash, behind your callbacks" in capsys.readouterr().out
    # A later session begins with an empty buffer, as the slots of the first are gone.
    call("simulate", out, "--data", data, "--steps", 20, "--save", saved)
    call("simulate", out, "--data", data, "--steps", 20, "--load", saved, "--order", "drift")
