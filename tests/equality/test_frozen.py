"""What frozen layers give is kept on the host, in part or not at all: the same bits."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.graphs import GRAPHS
from tests.support.sessions import (
    assert_equal,
    make_stream,
    opened,
    reference_engine,
    run,
    sanitized_host,
)
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.simulation.session import simulate
from tinytrain.target import load_target


@pytest.mark.parametrize(
    ("graph", "scheme", "loss"),
    [
        ("convolutions", "head", "cross_entropy"),
        ("convolutions", "last-2", "cross_entropy"),
        ("mixture", "last-2", "mean_squared_error"),
        ("signal", "last-2", "cross_entropy"),
    ],
)
def test_kept_results_change_nothing(graph: str, scheme: str, loss: str, tmp_path: Path) -> None:
    options = Options(scheme=scheme, loss=loss, seed=11)
    compiled = build_step(GRAPHS[graph](), options, Runner())
    product = write_folder(compiled, tmp_path / "model", target=load_target("host"))
    folder = opened(product)
    assert folder.manifest.frozen_bytes > 0
    stream = make_stream(folder, tmp_path / "data.npz", steps=14)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    state = wanted.saved[len(wanted.weights) :]
    # Four samples to learn from and four to evaluate: all, some and none of them are kept.
    for slots in (8, 6, 1, 0):
        memory = slots * folder.manifest.frozen_bytes
        engine = sanitized_host(folder, frozen_memory=memory)
        found = run(engine, stream)
        assert found.kept_bytes == memory
        assert_equal(found, wanted, state)


def test_where_the_first_layer_trains_nothing_is_kept(tmp_path: Path) -> None:
    compiled = build_step(GRAPHS["convolutions"](), Options(scheme="full"), Runner())
    product = write_folder(compiled, tmp_path / "model", target=load_target("host"))
    folder = opened(product)
    assert folder.manifest.frozen_bytes == 0
    make_stream(folder, tmp_path / "data.npz", steps=1)
    result = simulate(product.directory, data=tmp_path / "data.npz", steps=9)
    assert result.kept_bytes == 0
