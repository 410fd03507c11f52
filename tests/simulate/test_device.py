"""A device in Python: the C that ships, to the bit, with samples in every form that people have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tinytrain
from tests.support.paths import ROOT
from tests.support.sessions import RATE
from tinytrain import DataError, Device, ModelError, UsageError
from tinytrain.simulation.stream import training_order

DIGITS = ROOT / "examples" / "digits" / "digits.onnx"
X = np.random.default_rng(0).random((24, 1, 8, 8), dtype=np.float32)
Y = np.random.default_rng(1).integers(0, 10, 24)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("device") / "own"
    tinytrain.compile_model(DIGITS, output=place, calibration=X, scheme="last-2", rate_limit=0.5)
    return place


@pytest.fixture
def device(folder: Path) -> Iterator[Device]:
    with tinytrain.load(folder) as found:
        yield found


def saved(device: Device, path: Path) -> bytes:
    device.save(path)
    return path.read_bytes()


def test_steps_are_those_of_a_session(folder: Path, device: Device, tmp_path: Path) -> None:
    data = tmp_path / "data.npz"
    np.savez(data, x=X, y=Y)
    session = tinytrain.simulate(
        folder, data=data, eval=data, steps=30, learning_rate=RATE, save=tmp_path / "session.bin"
    )
    order = training_order(len(X), 30, 0)
    device.learning_rate = RATE
    before = device.evaluate(data)
    steps = [device.train_step(X[k], Y[k]) for k in order]
    assert tuple(step.loss for step in steps) == session.losses
    assert tuple(step.prediction for step in steps) == session.predictions
    assert saved(device, tmp_path / "device.bin") == (tmp_path / "session.bin").read_bytes()
    after = device.evaluate(data)
    assert (before.accuracy, after.accuracy) == (session.accuracy_before, session.accuracy_after)

    # What one saved the other goes on from.
    with tinytrain.load(folder) as other:
        other.load(tmp_path / "session.bin")
        assert other.evaluate(X, Y) == after
        assert saved(other, tmp_path / "other.bin") == saved(device, tmp_path / "device.bin")
    again = tinytrain.simulate(folder, data=data, eval=data, steps=0, load=tmp_path / "device.bin")
    assert again.accuracy_before == after.accuracy


def test_every_form_of_samples_is_the_same(device: Device, tmp_path: Path) -> None:
    tensors = torch.utils.data.TensorDataset(torch.from_numpy(X), torch.from_numpy(Y))
    np.savez(tmp_path / "data.npz", x=X, y=Y)
    forms: dict[str, Callable[[], Any]] = {
        "one by one": lambda: [device.train_step(x, y) for x, y in zip(X, Y, strict=True)],
        "batches of one": lambda: [device.train_step(X[k : k + 1], Y[[k]]) for k in range(24)],
        "a batch": lambda: device.train_step(X, Y),
        "float64 and lists": lambda: device.train_step(X.astype(np.float64), Y.tolist()),
        "channels last": lambda: device.train_step(X.transpose(0, 2, 3, 1), Y),
        "tensors": lambda: device.train(torch.tensor(X, requires_grad=True), torch.tensor(Y)),
        "0-d labels": lambda: device.train((x, torch.tensor(y)) for x, y in zip(X, Y, strict=True)),
        "labels in a column": lambda: device.train(X, Y[:, None]),
        "a DataLoader": lambda: device.train(torch.utils.data.DataLoader(tensors, batch_size=7)),
        "a dataset": lambda: device.train(tensors),
        "a pair": lambda: device.train((X, Y)),
        "a dictionary": lambda: device.train({"x": X, "y": Y}),
        "a file": lambda: device.train(tmp_path / "data.npz"),
        "an open file": lambda: device.train(np.load(tmp_path / "data.npz")),
    }
    found = {}
    for name, form in forms.items():
        device.reset()
        form()
        found[name] = saved(device, tmp_path / "saved.bin")
    assert set(found.values()) == {found["a batch"]}


def test_results_say_what_happened(device: Device) -> None:
    steps = device.train(X, Y, epochs=2)
    assert steps.losses.shape == steps.predictions.shape == (48,)
    assert steps.loss == np.mean(steps.losses, dtype=np.float64) and steps.skipped == 0
    assert repr(device.train_step(X[0], 3)).startswith("StepResult(loss=")
    scores = device.evaluate(X, Y)
    outputs = device.predict(X)
    assert (outputs.argmax(1) == scores.predictions).all()
    assert scores.accuracy == np.mean(scores.predictions == Y)
    reals = torch.from_numpy(outputs), torch.from_numpy(Y)
    assert scores.loss == pytest.approx(float(torch.nn.functional.cross_entropy(*reals)), rel=1e-5)
    # A sample without a batch gives an output without one.
    assert outputs.shape == (24, 10) and outputs.dtype == np.float32
    assert device.predict(torch.from_numpy(X[3])).tobytes() == outputs[3].tobytes()
    assert device.predict(X[3:4]).tobytes() == outputs[3:4].tobytes()


def test_reset_and_rate(device: Device, tmp_path: Path) -> None:
    fresh = saved(device, tmp_path / "fresh.bin")
    rate = device.learning_rate
    device.learning_rate = 0.25
    assert device.learning_rate == 0.25
    with pytest.raises(
        UsageError, match=r"learning rate 0\.6 is above 0\.5, the limit of the model"
    ):
        device.learning_rate = 0.6
    assert device.learning_rate == 0.25
    device.train_step(X, Y)
    device.reset()
    assert device.learning_rate == rate
    assert saved(device, tmp_path / "reset.bin") == fresh


def test_a_closed_device_says_so(folder: Path) -> None:
    with tinytrain.load(folder) as device:
        assert "own" in repr(device)
    with pytest.raises(UsageError, match="closed"):
        device.predict(X)


def test_threads_take_turns(device: Device, folder: Path, tmp_path: Path) -> None:
    device.learning_rate = 0.0
    wanted = device.predict(X).tobytes()
    threads = [threading.Thread(target=device.train, args=(X, Y)) for _ in range(3)]
    for thread in threads:
        thread.start()
    assert device.predict(X).tobytes() == wanted
    for thread in threads:
        thread.join()
    with tinytrain.load(folder) as other:
        other.learning_rate = 0.0
        other.train(X, Y, epochs=3)
        assert saved(device, tmp_path / "a.bin") == saved(other, tmp_path / "b.bin")


REFUSED: dict[str, tuple[Callable[[Device], Any], str]] = {
    "another shape": (lambda d: d.predict(X[:, :, :3]), r"\[24, 1, 3, 8\], but the model takes"),
    "integers": (lambda d: d.predict(X.astype(int)), "dtype int64, where float32"),
    "text": (lambda d: d.predict("sample"), "'str' holds no numbers"),
    "nothing": (lambda d: d.predict(None), "'NoneType' holds no numbers"),
    "ragged": (lambda d: d.predict([[1.0], [1.0, 2.0]]), "'list' holds no array of numbers"),
    "objects": (lambda d: d.predict(np.array([None])), "dtype object holds no numbers"),
    "no samples": (lambda d: d.predict(X[:0]), "holds no samples"),
    "not a number": (lambda d: d.predict(X * np.nan), "NaN or an infinite value"),
    "images": (lambda d: d.predict(X.astype(np.uint8)), "without a preprocessing"),
    "a label out of range": (lambda d: d.train_step(X[0], 10), "label 10 of sample 0 is out of"),
    "a label of no integer": (lambda d: d.train_step(X[0], 1.5), "labels are integers"),
    "a label missing": (lambda d: d.train_step(X[:2], [1]), r"\[1\], but x holds 2 samples"),
    "one-hot labels": (lambda d: d.train(X, np.eye(10)[Y]), "a number for each class"),
    "no labels": (lambda d: d.train_step(X[0]), "there is no y"),
    "no loader": (lambda d: d.train(3), "a 'int' gives no samples"),
    "no pairs": (lambda d: d.train([X, X, X]), "'ndarray', where a pair"),
    "triples": (lambda d: d.train([(X, Y, Y)]), "'tuple' of 3, where a pair"),
    "no x": (lambda d: d.train({"images": X}), "no 'x' among images"),
    "an empty loader": (lambda d: d.evaluate([]), "no samples to evaluate"),
    "an iterator twice": (lambda d: d.train(iter([(X, Y)]), epochs=2), "gives its samples once"),
    "no epoch": (lambda d: d.train(X, Y, epochs=0), "at least 1"),
    "half an epoch": (lambda d: d.train(X, Y, epochs=1.5), "an integer of at least 1, got 1.5"),
    "no path": (lambda d: d.load(None), "cannot be read: .* not NoneType"),
    "no folder": (lambda d: tinytrain.load(None), "named by its path, got None"),
    "a rate": (lambda d: setattr(d, "learning_rate", -1.0), "between 0 and 1024"),
    "no saved file": (lambda d: d.load(DIGITS), "holds no saved parameters"),
    "a file that is missing": (lambda d: d.load("nowhere.bin"), "cannot be read"),
    "a folder to save in": (lambda d: d.save("/nowhere/saved.bin"), "cannot be written"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused(name: str, device: Device, tmp_path: Path) -> None:
    before = saved(device, tmp_path / "before.bin")
    act, message = REFUSED[name]
    with pytest.raises((DataError, UsageError), match=message):
        act(device)
    assert saved(device, tmp_path / "after.bin") == before


def test_folders_and_engines_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder"):
        tinytrain.load(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="on must be host or serial:PORT, got 'qemu'"):
        tinytrain.load(folder, on="qemu")
    other = tmp_path / "head"
    tinytrain.compile_model(DIGITS, output=other, calibration=X, scheme="head")
    with tinytrain.load(other) as device, tinytrain.load(folder) as trained:
        trained.save(tmp_path / "saved.bin")
        with pytest.raises(DataError, match="was not saved by the model in"):
            device.load(tmp_path / "saved.bin")
    (other / "src" / "digits.c").write_text("changed")
    with pytest.raises(ModelError, match="was changed"):
        tinytrain.load(other)


def test_samples_are_saved_behind_what_was_learned(tmp_path: Path) -> None:
    folder, data, path = tmp_path / "own", tmp_path / "data.npz", tmp_path / "learned.bin"
    product = tinytrain.compile_model(DIGITS, output=folder, calibration=X, scheme="head", replay=5)
    manifest = product.manifest
    np.savez(data, x=X, y=Y)
    first = tinytrain.simulate(folder, data=data, steps=9, save=path)
    assert first.saved is not None
    alone = tmp_path / "weights.bin"
    alone.write_bytes(first.saved[: manifest.saved_bytes])
    assert manifest.replay is not None
    assert len(first.saved) == manifest.saved_bytes + manifest.replay.samples_bytes
    with tinytrain.load(folder) as device, tinytrain.load(folder) as other:
        device.load(path)
        assert saved(device, tmp_path / "again.bin") == first.saved
        other.train_step(X[0], Y[0])
        kept = saved(other, tmp_path / "other.bin")[manifest.saved_bytes :]
        other.load(alone)  # its own samples stay
        assert saved(other, tmp_path / "other.bin") == alone.read_bytes() + kept
    warned: list[str] = []
    steps = {"data": data, "steps": 0}
    again = tinytrain.simulate(folder, **steps, load=path, warn=warned.append)
    assert again.saved == first.saved and not any("begins empty" in text for text in warned)
    other_one = tinytrain.simulate(folder, **steps, load=alone, warn=warned.append)
    assert other_one.saved != first.saved and any("begins empty" in text for text in warned)
    for broken in (first.saved[:-1], first.saved + b"x"):
        path.write_bytes(broken)
        with pytest.raises(DataError, match="saved samples do not have the size"):
            tinytrain.simulate(folder, **steps, load=path)


def test_a_replay_buffer_is_that_of_a_session(tmp_path: Path) -> None:
    folder, data = tmp_path / "own", tmp_path / "data.npz"
    tinytrain.compile_model(DIGITS, output=folder, calibration=X, scheme="head", replay=5)
    np.savez(data, x=X, y=Y)
    tinytrain.simulate(folder, data=data, steps=30, save=tmp_path / "session.bin")
    with tinytrain.load(folder) as device:
        order = training_order(len(X), 30, 0)
        device.train(X[order], Y[order])
        assert saved(device, tmp_path / "device.bin") == (tmp_path / "session.bin").read_bytes()
        np.savez(tmp_path / "old.npz", x=X[::-1], y=Y[::-1])
        filled = {"fill": tmp_path / "old.npz", "save": tmp_path / "filled.bin"}
        tinytrain.simulate(folder, data=data, steps=30, **filled)
        device.reset()
        device.remember(X[::-1], Y[::-1])
        device.train(X[order], Y[order])
        assert saved(device, tmp_path / "device.bin") == (tmp_path / "filled.bin").read_bytes()


def test_a_rehearsal_set_is_that_of_a_session(tmp_path: Path) -> None:
    folder, data = tmp_path / "own", tmp_path / "data.npz"
    known = (X, np.arange(len(X)) % 7)
    product = tinytrain.compile_model(
        DIGITS, output=folder, calibration=X, scheme="head", rehearse=known, rehearsal_slots=14
    )
    assert any("no sample of classes 7, 8, 9" in said for said in product.manifest.warnings)
    np.savez(data, x=X, y=Y)
    session = tinytrain.simulate(folder, data=data, steps=30, save=tmp_path / "session.bin")
    with tinytrain.load(folder) as device:
        before = device.evaluate_rehearsal()
        assert before.accuracy == session.rehearsal_accuracy_before
        assert before.loss == session.rehearsal_loss_before
        order = training_order(len(X), 30, 0)
        device.train(X[order], Y[order])
        assert saved(device, tmp_path / "device.bin") == (tmp_path / "session.bin").read_bytes()
        after = device.evaluate_rehearsal()
        assert (after.accuracy, after.loss) == (
            session.rehearsal_accuracy_after,
            session.rehearsal_loss_after,
        )
        # Two samples of each of seven classes.
        assert after.recall[7:] == (None, None, None)
        assert after.accuracy == pytest.approx(np.mean(after.recall[:7]))
        losses = device.rehearse(700).losses
        assert losses[-70:].mean() < losses[:70].mean()
    tinytrain.compile_model(DIGITS, output=folder, calibration=X, scheme="head")
    with tinytrain.load(folder) as device, pytest.raises(UsageError, match="no rehearsal set"):
        device.evaluate_rehearsal()


def test_a_regression_has_the_shape_of_its_output(tmp_path: Path) -> None:
    """A map of three channels comes out, and is taken as a target, as PyTorch has it."""
    torch.manual_seed(0)
    module = torch.nn.Sequential(torch.nn.Conv2d(2, 4, 3, padding=1), torch.nn.ReLU(),
                                 torch.nn.Conv2d(4, 3, 1)).eval()  # fmt: skip
    x = np.random.default_rng(2).normal(size=(16, 2, 5, 4)).astype(np.float32)
    y = np.random.default_rng(3).normal(size=(16, 3, 5, 4)).astype(np.float32)
    tinytrain.compile_model(module, torch.zeros(1, 2, 5, 4), output=tmp_path / "own",
                            calibration=x, loss="mean_squared_error", scheme="full")  # fmt: skip
    with tinytrain.load(tmp_path / "own") as device:
        outputs = device.predict(x)
        assert outputs.shape == (16, 3, 5, 4) and device.predict(x[0]).shape == (3, 5, 4)
        wanted = module(torch.from_numpy(x)).detach().numpy()
        assert np.corrcoef(outputs.ravel(), wanted.ravel())[0, 1] > 0.999
        step = device.train_step(x[0], y[0])
        assert step.prediction is None and step.predictions.size == 0
        device.reset()
        flat = y.transpose(0, 2, 3, 1).reshape(16, -1)
        scores = device.evaluate(x, y)
        assert scores == device.evaluate(x, flat) and scores.accuracy is None
        assert scores.loss == pytest.approx(((outputs - y) ** 2).mean(), rel=1e-5)
        with pytest.raises(DataError, match=r"y has shape \[4\], but x holds 16 samples"):
            device.train_step(x, y[0, 0, 0])


def test_images_are_taken_one_by_one_and_in_batches(tmp_path: Path) -> None:
    images = np.random.default_rng(4).integers(0, 256, (6, 16, 12), dtype=np.uint8)
    tinytrain.compile_model(
        DIGITS, output=tmp_path / "own", calibration=X, scheme="head", mean=0.0, std=1.0
    )
    with tinytrain.load(tmp_path / "own") as device:
        outputs = device.predict(images)
        assert outputs.shape == (6, 10)
        assert device.predict(images[2]).tobytes() == outputs[2].tobytes()
        assert device.predict(images[2][..., None]).tobytes() == outputs[2].tobytes()


@pytest.mark.parametrize(
    ("loss", "outputs"), [("cross_entropy", "pixels"), ("binary_cross_entropy", "labels")]
)
def test_several_labels_are_counted_as_a_session_counts_them(
    loss: str, outputs: str, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(5).random((8, 1, 6, 5)).astype(np.float32)
    if outputs == "pixels":
        module, y = torch.nn.Conv2d(1, 3, 3, padding=1), (x[:, 0] * 2.99).astype(int)
    else:
        module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(30, 4))
        y = (x.reshape(8, -1)[:, :4] > 0.5).astype(int)
    place, data = tmp_path / "own", tmp_path / "data.npz"
    tinytrain.compile_model(
        module.eval(), x[:1], output=place, calibration=x, loss=loss, scheme="head"
    )
    np.savez(data, x=x, y=y)
    session = tinytrain.simulate(place, data=data, eval=data, steps=0)
    with tinytrain.load(place) as device:
        found = device.evaluate(torch.from_numpy(x), torch.from_numpy(y))
        assert found.accuracy == session.accuracy_before
        assert found == device.evaluate(zip(x, y, strict=True))
        assert device.train_step(x[0], y[0]).losses.shape == (1,)
        with pytest.raises(DataError, match="there is no y"):
            device.train_step(x[0])


def test_an_autoencoder_that_ends_in_a_sigmoid_learns_to_give_its_input(tmp_path: Path) -> None:
    torch.manual_seed(0)
    x = np.random.default_rng(6).random((8, 12)).astype(np.float32)
    ends = torch.nn.Linear(12, 4), torch.nn.ReLU(), torch.nn.Linear(4, 12), torch.nn.Sigmoid()
    place, data = tmp_path / "own", tmp_path / "data.npz"
    module = torch.nn.Sequential(*ends).eval()
    tinytrain.compile_model(module, x[:1], output=place, calibration=x, scheme="head")
    np.savez(data, x=x)
    session = tinytrain.simulate(place, data=data, steps=3, learning_rate=RATE)
    with tinytrain.load(place) as device:
        device.learning_rate = RATE
        order = training_order(len(x), 3, 0)
        assert tuple(device.train_step(x[k]).loss for k in order) == session.losses
        with pytest.raises(DataError, match="not from 0 to 1"):
            device.train_step(2 * x[0] + 1)
