"""A folder without training takes what one learned that was compiled with the same options."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from tests.support.onnx_models import CLASSES, SHAPE, quantized_model
from tests.support.refusals import Refuse
from tinytrain.errors import UsageError
from tinytrain.manifest import read_manifest

RNG = np.random.default_rng(0)
X = RNG.standard_normal((24, *SHAPE[1:])).astype(np.float32)
Y = np.arange(24) % CLASSES

LEARNERS: dict[str, dict[str, Any]] = {
    "full": {"scheme": "full"},
    "velocities": {"scheme": "last-2", "momentum": 0.9, "accumulate": 4, "gradient": "s16"},
    "weights of classes": {"scheme": "head", "class_weights": "balanced"},
    "adam": {"scheme": "last-1", "optimizer": "adam", "gradient": "f32", "health": False},
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantized_model(tmp_path_factory.mktemp("model") / "own.onnx")


def compiled(model: Path, folder: Path, target: str = "host", **options: Any) -> Path:
    tinytrain.compile_model(str(model), output=folder, target=target, **options)
    return folder


@pytest.mark.parametrize(
    "name",
    [name if name == "adam" else pytest.param(name, marks=pytest.mark.slow) for name in LEARNERS],
)
def test_what_one_learned_the_other_knows(name: str, model: Path, tmp_path: Path) -> None:
    options = LEARNERS[name]
    learner = compiled(model, tmp_path / "learner", **options)
    reader = compiled(model, tmp_path / "reader", inference=True, **options)
    saved, again = tmp_path / "saved.bin", tmp_path / "again.bin"
    with tinytrain.load(learner) as device:
        fresh = device.predict(X)
        device.train(X, Y, epochs=2)
        learned, judged = device.predict(X), device.evaluate(X, Y)
        device.save(saved)
    with tinytrain.load(reader) as device:
        assert np.array_equal(device.predict(X), fresh)
        device.load(saved)
        assert np.array_equal(device.predict(X), learned)
        assert device.evaluate(X, Y).loss == judged.loss
        device.save(again)
        with pytest.raises(UsageError, match="nor does a model that was compiled with inference"):
            device.train_step(X[0], 1)
    assert not np.array_equal(learned, fresh)
    assert again.read_bytes() == saved.read_bytes()
    header = (reader / "src" / "own.h").read_text()
    assert "own_infer(" in header and "own_load(" in header
    assert "train_step(own_state" not in header and "learning_rate" not in header
    ours, theirs = read_manifest(reader), read_manifest(learner)
    assert ours.model_hash == theirs.model_hash
    # Where the head alone trains, the arena of a step is that of an inference.
    assert ours.ram["arena"] <= theirs.ram["arena"]
    assert sum(ours.flash.values()) < sum(theirs.flash.values())


def test_sessions_and_foreign_files(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    """A session from the learned parameters changes nothing; other files and steps are refused."""
    learner = compiled(model, tmp_path / "learner", scheme="last-1")
    other = compiled(model, tmp_path / "other", scheme="head")
    reader = compiled(model, tmp_path / "reader", scheme="last-1", inference=True)
    data = tmp_path / "data.npz"
    np.savez(data, x=X, y=Y)
    saved, foreign = tmp_path / "saved.bin", tmp_path / "foreign.bin"
    trained = tinytrain.simulate(learner, data=data, eval=data, steps=20, save=saved)
    tinytrain.simulate(other, data=data, steps=2, save=foreign)
    judged = tinytrain.simulate(reader, data=data, eval=data, steps=0, load=saved)
    assert judged.weights_sha256 == trained.weights_sha256
    assert judged.accuracy_after == trained.accuracy_after
    assert judged.class_accuracy_after == trained.class_accuracy_after
    told = refuse(4, "simulate", reader, "--data", data, "--steps", 0, "--load", foreign)
    assert told.startswith("the saved parameters belong to another model")
    told = refuse(2, "simulate", reader, "--data", data, "--steps", 3)
    assert "was compiled with --inference, and --steps is about training" in told


def test_nothing_but_inference(model: Path, refuse: Refuse, tmp_path: Path) -> None:
    """The scheme none alone: all weights in flash, the outputs of a scheme that has not trained."""
    fixed = compiled(model, tmp_path / "fixed", scheme="none", self_test=True)
    learner = compiled(model, tmp_path / "learner", scheme="head")
    with tinytrain.load(fixed) as one, tinytrain.load(learner) as other:
        assert np.array_equal(one.predict(X), other.predict(X))
    assert read_manifest(fixed).ram["trained parameters"] == 0
    data = tmp_path / "data.npz"
    np.savez(data, x=X, y=Y)
    told = refuse(2, "simulate", fixed, "--data", data, "--steps", 3)
    assert told.startswith("the scheme none trains nothing, and --steps is about training")


@pytest.mark.parametrize(
    "more",
    [{"replay": 4}, {"guard": 64}, {"enrol": "ncm", "scheme": "head"}, {"anomaly": "diagonal"}],
)
def test_what_saves_more_than_weights(more: dict[str, Any], model: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="takes what a device learned that saves weights alone"):
        compiled(model, tmp_path / "reader", inference=True, **more)


@pytest.mark.slow
def test_on_a_core(model: Path, tmp_path: Path) -> None:
    """Learned on this machine, inferred on an emulated Cortex-M7, whose self-test runs first."""
    options = {"scheme": "full", "self_test": True}
    learner = compiled(model, tmp_path / "learner", **options)
    reader = compiled(model, tmp_path / "reader", "mps2-an500", inference=True, **options)
    data, saved = tmp_path / "data.npz", tmp_path / "saved.bin"
    np.savez(data, x=X, y=Y)
    trained = tinytrain.simulate(learner, data=data, eval=data, steps=20, save=saved)
    judged = tinytrain.simulate(reader, data=data, eval=data, steps=0, load=saved, on="qemu")
    assert judged.weights_sha256 == trained.weights_sha256
    assert judged.accuracy_after == trained.accuracy_after
    assert judged.class_accuracy_after == trained.class_accuracy_after
