"""Steps whose loss is not finite change nothing, on the reference, on the host and on a core."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
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
from tinytrain.data import load_dataset
from tinytrain.passes.base import Runner
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.session import simulate
from tinytrain.target import load_target


@pytest.mark.parametrize("gradient", ["s8", pytest.param("f32", marks=pytest.mark.slow)])
def test_targets_whose_squares_overflow(gradient: str, tmp_path: Path) -> None:
    """1e20 is a finite target, and its square no float."""
    options = Options(loss="mean_squared_error", gradient=gradient, scheme="last-1", seed=11)
    compiled = build_step(GRAPHS["signal"](), options, Runner())
    product = write_folder(compiled, tmp_path / "model", target=load_target("mps2-an500"))
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", steps=6)
    with np.load(tmp_path / "data.npz") as found:
        x, y = found["x"], found["y"]
    y[1, 0], y[2, 1] = 1e20, -3e38
    np.savez(tmp_path / "huge.npz", x=x, y=y)
    huge = replace(stream, train=load_dataset(tmp_path / "huge.npz", folder.spec))

    wanted = run(reference_engine(product.compiled), huge)
    skipped = np.isin(huge.order, (1, 2))
    assert 0 < skipped.sum() < skipped.size
    assert np.array_equal(np.isfinite(wanted.losses), ~skipped)
    assert wanted.saved is not None
    state = wanted.saved[len(wanted.weights) :]
    # The count of steps ends the state; skipped ones are not in it.
    assert int.from_bytes(state[-4:], "little") == np.count_nonzero(~skipped)
    # Without the samples of the skipped steps everything comes out the same.
    without = run(reference_engine(product.compiled), replace(huge, order=huge.order[~skipped]))
    assert without.saved == wanted.saved

    engines: dict[str, Engine] = {
        "gcc -O1": sanitized_host(folder),
        "Cortex-M7": QemuEngine(folder),
    }
    for engine in engines.values():
        assert_equal(run(engine, huge), wanted, state)

    result = simulate(product.directory, data=tmp_path / "huge.npz", steps=6)
    assert result.skipped == skipped.sum() and result.steps == 6
    figures = json.loads(result.to_json())
    assert figures["skipped"] == result.skipped
    assert figures["loss_first"] is not None
