"""The networks of bench/networks: their worlds, and a step of some on reference and host."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from bench.networks import learning, made, signals
from bench.networks.catalogue import ROWS, Row
from bench.networks.objectives import CLASSES
from bench.networks.worlds import Samples
from tests.support.sessions import agree, make_stream, opened
from tinytrain.compiler.compile import compile_model
from tinytrain.simulation.host import HostEngine

SHAPES = {
    "TCN with chomp": (6, 128),
    "autoencoder with PixelShuffle": (1, 28, 28),
    "MLP with GELU": (64,),
}
"""Inputs of the networks that are run here."""


def test_no_two_networks_share_a_file() -> None:
    assert len({row.key for row in ROWS}) == len(ROWS)


def test_made_signals_are_the_same_for_the_same_seed() -> None:
    words = np.array([0, 3, -1])
    one, again, other = (made.spoken(words, None, seed) for seed in (1, 1, 2))
    assert one.shape == (3, 1, made.FRAMES, made.BANDS)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    faults = np.eye(4, dtype=int)
    one, again = (made.vibrations(faults, made.SITE, 1) for _ in range(2))
    assert one.shape == (4, 2, made.LENGTH)
    assert np.array_equal(one, again)


def test_fine_tuning_leaves_the_network_as_it_was_and_learns() -> None:
    torch.manual_seed(0)
    network = signals.Mlp(2 * made.LENGTH, 4).eval()
    x = made.vibrations(np.eye(4, dtype=int), made.SITE, 1).reshape(4, -1)
    samples = Samples(x, np.arange(4))
    before = learning.score(network, samples, CLASSES)
    order = np.tile(np.arange(4), 100)
    still, tuned = (
        learning.fine_tune(network, samples, CLASSES, order, rate=rate, schedule="constant")
        for rate in (0.0, 0.02)
    )
    given = torch.from_numpy(x)
    assert torch.allclose(still(given), network(given), atol=1e-5)
    assert learning.score(network, samples, CLASSES) == before
    assert learning.score(tuned, samples, CLASSES) == 1.0


@pytest.mark.slow
@pytest.mark.parametrize(
    "row", [row for row in ROWS if row.title in SHAPES], ids=lambda row: row.key
)
def test_the_host_trains_as_the_reference(row: Row, tmp_path: Path) -> None:
    torch.manual_seed(0)
    shape = SHAPES[row.title]
    product = compile_model(
        row.make().eval(),
        torch.zeros(1, *shape),
        output=tmp_path / "model",
        calibration=np.random.default_rng(0).normal(size=(16, *shape)).astype(np.float32),
        loss=row.objective.loss,
    )
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", 4)
    agree(product, HostEngine(folder), stream)
