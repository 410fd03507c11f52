"""A class for each pixel: the same bits, gradients of autograd, and it learns."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tinytrain
from tests.support.mirror import F32_ERROR, Mirror
from tests.support.pixels import CLASSES, SIZE, compiled, data
from tests.support.sessions import agree, reference_engine, run
from tinytrain.errors import DataError, TinytrainError
from tinytrain.reference.interpret import Machine
from tinytrain.reference.warm_up import training_sample
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.session import plan_session, simulate


@pytest.mark.parametrize("replay", [{}, {"replay": 2, "replay_in": "flash", "gradient": "s16"}])
def test_reference_and_c_are_equal(tmp_path: Path, replay: dict[str, object]) -> None:
    product = compiled(tmp_path, torch.nn.Softmax(1), **replay)
    folder = open_folder(product.directory)
    assert (folder.spec.pixels, folder.spec.pixel_classes) == (SIZE * SIZE, CLASSES)
    path = data(tmp_path)
    stream = plan_session(folder, data=path, eval=path, steps=20, evaluate_every=10)
    found, wanted = agree(product, HostEngine(folder), stream)
    assert len(set(wanted.after.right)) > 1
    assert found.checkpoints == wanted.checkpoints


def test_replay_in_ram_gives_the_same_weights(tmp_path: Path) -> None:
    product = compiled(tmp_path, replay=2)
    stream = plan_session(open_folder(product.directory), data=data(tmp_path), steps=8)
    wanted = run(reference_engine(product.compiled), stream)
    assert run(HostEngine(open_folder(product.directory)), stream).weights == wanted.weights


def test_pixels_are_rehearsed(tmp_path: Path) -> None:
    product = compiled(tmp_path, rehearse=str(tmp_path / "data.npz"), rehearsal_slots=5)
    stream = plan_session(open_folder(product.directory), data=data(tmp_path), steps=8)
    found, wanted = agree(product, HostEngine(open_folder(product.directory)), stream)
    assert wanted.rehearsal_before != wanted.rehearsal_after
    assert found.rehearsal_after == wanted.rehearsal_after


def test_gradients_are_those_of_autograd(tmp_path: Path) -> None:
    graph = compiled(tmp_path, gradient="f32", fraction_bits=0).compiled.graph
    given = training_sample(graph, None, 1, np.random.default_rng(0))
    known = Machine(graph, rate=0.0).run(given)
    slope = next(node for node in graph.nodes if node.op == "pixel_cross_entropy").outputs[1]
    logits = torch.tensor(known[graph.outputs[1]], dtype=torch.float64, requires_grad=True)
    labels = torch.tensor(given["labels"].astype(np.int64))
    Mirror.loss_of("pixel_cross_entropy", logits, labels).backward()
    assert np.allclose(known[slope], logits.grad.numpy(), atol=F32_ERROR / 10)


def test_it_learns(tmp_path: Path) -> None:
    folder = compiled(tmp_path, weight_headroom=4.0).directory
    found = simulate(folder, data=data(tmp_path), eval=data(tmp_path), steps=400)
    assert found.accuracy_of == "pixels"
    assert found.accuracy_after is not None and found.accuracy_after > 0.93
    assert found.loss_last is not None and found.loss_first is not None
    assert found.loss_last < 0.5 * found.loss_first


@pytest.mark.parametrize(
    ("y", "told"),
    [
        (np.zeros((40, 5, 6), int), "a label for each of its pixels: [40, 6, 6]"),
        (np.full((40, 6, 6), 3), "label 3 of pixel 0 in sample 0 is out of range"),
        (np.zeros((40, 6, 6)), "labels of pixels are integers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(tmp_path: Path, y: np.ndarray, told: str) -> None:
    product = compiled(tmp_path)
    np.savez(tmp_path / "other.npz", x=np.load(data(tmp_path))["x"], y=y)
    with pytest.raises(DataError) as caught:
        simulate(product.directory, data=tmp_path / "other.npz", steps=1)
    assert told in str(caught.value)


def test_a_device_takes_a_map_of_labels_alone(tmp_path: Path) -> None:
    product = compiled(tmp_path)
    given = np.load(data(tmp_path))
    device = tinytrain.load(product.directory)
    alone = device.train_step(given["x"][0], given["y"][0])
    assert alone.prediction is None and np.isfinite(alone.loss)
    assert device.train_step(given["x"][:3], given["y"][:3]).losses.size == 3
    with pytest.raises(DataError, match="labels of pixels of shape"):
        device.train_step(given["x"][0], given["y"][0, 0])


def test_labels_of_pixels_are_not_smoothed(tmp_path: Path) -> None:
    with pytest.raises(TinytrainError, match="pixels are not smoothed"):
        compiled(tmp_path, label_smoothing=0.1)
