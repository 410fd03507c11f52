"""Evaluations between steps: the same curve and the same end on reference, host and core."""

from __future__ import annotations

from dataclasses import replace
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
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target


@pytest.mark.parametrize(
    "options",
    [{"label_smoothing": 0.1}, {"loss": "mean_squared_error", "gradient": "f32"}],
    ids=["cross_entropy", "mean_squared_error"],
)
def test_curve_and_early_stop(options: dict[str, object], tmp_path: Path) -> None:
    chosen = Options(scheme="last-1", seed=11, **options)  # type: ignore[arg-type]
    compiled = build_step(GRAPHS["signal"](), chosen, Runner())
    product = write_folder(compiled, tmp_path / "model", target=load_target("mps2-an500"))
    folder = opened(product)
    # At this rate it gets worse before long.
    stream = make_stream(folder, tmp_path / "data.npz", steps=40)
    stream = replace(stream, learning_rate=0.5, evaluate_every=2, patience=2)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.checkpoints[-1].verdict == "stop"
    assert wanted.losses.size == wanted.checkpoints[-1].step < 40
    assert wanted.saved is not None
    state = wanted.saved[len(wanted.weights) :]
    # Looking changes nothing.
    unseen = replace(stream, order=stream.order[: wanted.losses.size], evaluate_every=0, patience=0)
    assert run(reference_engine(product.compiled), unseen).saved == wanted.saved

    plain = sanitized_host(folder, frozen_memory=0)
    assert folder.manifest.frozen_bytes > 0
    for engine in (plain, replace(plain, frozen_memory=2**20), QemuEngine(folder)):
        found = run(engine, stream)
        assert found.checkpoints == wanted.checkpoints
        assert_equal(found, wanted, state)
