"""A model with one output that says yes or no: the same bits, and it learns."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.one_output import compiled, data
from tests.support.sessions import agree
from tinytrain.simulation.folder import open_folder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.session import plan_session, simulate

SET = {"rehearsal_slots": 7, "rehearse": "data.npz"}


@pytest.mark.parametrize("replay", [{}, {"replay": 3, "replay_in": "flash"}, SET])
def test_reference_and_c_are_equal(tmp_path: Path, replay: dict[str, object]) -> None:
    if "rehearse" in replay:
        replay = {**replay, "rehearse": data(tmp_path)}
    product = compiled(tmp_path, ends_in_sigmoid=True, **replay)
    folder = open_folder(product.directory)
    assert folder.manifest.loss == "binary_cross_entropy"
    assert (folder.spec.output_size, folder.spec.classes) == (1, 2)
    path = data(tmp_path)
    stream = plan_session(folder, data=path, eval=path, steps=30, evaluate_every=15)
    found, wanted = agree(product, HostEngine(folder), stream)
    assert set(wanted.predictions) == {0, 1}
    assert found.checkpoints == wanted.checkpoints
    assert found.rehearsal_after == wanted.rehearsal_after
    assert (found.rehearsal_after is not None) == ("rehearse" in replay)


@pytest.mark.parametrize("ends_in_sigmoid", [False, True])
def test_it_learns(tmp_path: Path, ends_in_sigmoid: bool) -> None:
    options = {"loss": "binary_cross_entropy", "weight_headroom": 4.0, "learning_rate": 0.05}
    folder = compiled(tmp_path, ends_in_sigmoid=ends_in_sigmoid, **options).directory
    found = simulate(folder, data=data(tmp_path), eval=data(tmp_path), steps=2000)
    assert found.accuracy_of == "samples"
    assert found.accuracy_after is not None and found.accuracy_after > 0.95
    assert found.loss_last is not None and found.loss_last < 0.3
