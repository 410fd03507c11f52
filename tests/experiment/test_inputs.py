"""What is sent to another machine arrives there as it is here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.numpy_helper import to_array

from tests.support.onnx_models import quantized_model
from tinytrain.experiments import inputs
from tinytrain.experiments.identity import model_input
from tinytrain.experiments.inputs import Input, unpack


def sent(given: Input) -> list[bytes]:
    parts: list[bytes] = []
    given.pack(parts.append)
    return parts


def test_a_folder_arrives_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_PART", 1000)
    rng = np.random.default_rng(0)
    (tmp_path / "images" / "cats").mkdir(parents=True)
    (tmp_path / "images" / "large.bin").write_bytes(rng.bytes(54_321))
    (tmp_path / "images" / "cats" / "ü 1.png").write_bytes(b"one")
    (tmp_path / "images" / "cats" / "empty").write_bytes(b"")
    given = Input(tmp_path / "images")
    parts = sent(given)
    assert len(parts) > 3
    unpack(parts, tmp_path / "there")
    arrived = Input(tmp_path / "there" / "images")
    assert list(arrived.files()) == ["images/cats/empty", "images/cats/ü 1.png", "images/large.bin"]
    assert arrived.digest() == given.digest()
    (tmp_path / "there" / "images" / "cats" / "empty").write_bytes(b"no more")
    assert arrived.digest() != given.digest()


def test_a_model_comes_with_its_external_data(tmp_path: Path) -> None:
    whole = quantized_model(tmp_path / "whole.onnx")
    assert model_input(whole) == Input(whole)
    apart = tmp_path / "apart.onnx"
    onnx.save(
        onnx.load(whole),
        apart,
        save_as_external_data=True,
        location="weights.bin",
        size_threshold=0,
    )
    given = model_input(apart)
    assert list(given.files()) == ["apart.onnx", "weights.bin"]
    unpack(sent(given), tmp_path / "there")
    there = Input(
        tmp_path / "there" / "apart.onnx", (("weights.bin", tmp_path / "there/weights.bin"),)
    )
    assert there.digest() == given.digest()
    arrived = onnx.load(tmp_path / "there" / "apart.onnx").graph.initializer
    for ours, theirs in zip(onnx.load(whole).graph.initializer, arrived, strict=True):
        np.testing.assert_array_equal(to_array(ours), to_array(theirs))
