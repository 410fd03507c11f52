"""A guard looks, saves, brings back and stops as the reference does, on every core."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.rehearsal import with_set
from tests.support.replay_sessions import engines_of
from tests.support.sessions import make_stream, opened, reference_engine, run
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import UsageError
from tinytrain.passes.base import Runner
from tinytrain.saved_file import read_saved
from tinytrain.simulation.device import host_library
from tinytrain.simulation.guard import guard_summary
from tinytrain.simulation.library import LibrarySamples
from tinytrain.target import load_target

STEPS = 60
CASES: tuple[tuple[str, float, int, dict[str, Any]], ...] = (
    ("signal", 4.0, 7, {"scheme": "last-1", "replay": 3, "rehearse": 5}),
    ("signal", 400.0, 7, {"scheme": "last-2", "loss": "mean_squared_error", "rehearse": 4}),
    ("convolutions", 400.0, 8, {"momentum": 0.5, "schedule": "step:20:0.5"}),
    ("convolutions", 32.0, 8, {"scheme": "head", "feed": "rows", "health": False}),
)
"""Graph, learning rate, seed of the samples kept apart, options. Such rates ruin a network, so that
there is something to undo."""


def product_of(graph: str, options: dict[str, Any], folder: Path) -> Product:
    options = dict(options)
    slots = options.pop("rehearse", 0)
    chosen = Options(seed=11, guard=5, rate_limit=1024.0, **options)
    step = build_step(GRAPHS[graph](), chosen, Runner())
    step = with_set(step, slots) if slots else step
    return write_folder(step, folder / "model", target=load_target("mps2-an500"))


@pytest.mark.parametrize(
    ("graph", "rate", "seed", "options"),
    [pytest.param(*c, marks=[pytest.mark.slow] if c in CASES[2:] else []) for c in CASES],
)
def test_a_guard_equals_the_reference(
    graph: str, rate: float, seed: int, options: dict[str, Any], tmp_path: Path
) -> None:
    product = product_of(graph, options, tmp_path)
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", STEPS)
    kept = make_stream(folder, tmp_path / "kept.npz", 1, seed=seed).train
    stream = replace(
        stream,
        learning_rate=rate,
        kept=kept,
        replay_steps=1 if "replay" in options else None,
        rehearsal_steps=1 if product.compiled.rehearsal else None,
    )
    wanted = run(reference_engine(product.compiled), stream)
    summary = guard_summary(wanted.guard_checks)
    assert summary is not None and summary.restores > 1 and summary.saves > 1
    assert summary.is_stopped == (graph == "signal" and rate == 400.0)
    for name, engine in engines_of(product).items():
        found = run(engine, stream)
        assert found.guard_checks == wanted.guard_checks, name
        assert found.losses.tobytes() == wanted.losses.tobytes(), name
        assert found.weights == wanted.weights, name
        assert found.health == (wanted.health if product.compiled.options.health else None), name
        assert found.saved is not None and wanted.saved is not None
        # The guard, then scales and step count.
        tail = folder.manifest.guard.ram if folder.manifest.guard else 0
        tail += 8 * len(product.compiled.scales) + 12
        assert read_saved(found.saved).state[-tail:] == wanted.saved[-tail:], name


def test_the_library_equals_a_session(tmp_path: Path) -> None:
    graph, rate, seed, options = CASES[2]
    product = product_of(graph, options, tmp_path)
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", STEPS)
    kept = make_stream(folder, tmp_path / "kept.npz", 1, seed=seed).train
    stream = replace(stream, learning_rate=rate, kept=kept)
    wanted = run(reference_engine(product.compiled), stream)
    library = host_library(folder)

    def samples(data: Any) -> LibrarySamples:
        every = slice(None)
        return LibrarySamples(np.ascontiguousarray(data.targets(every)), data.quantized(every))

    library.guard(samples(kept))
    library.set_learning_rate(rate)
    library.train(samples(stream.train), stream.order)
    library.finish()
    assert library.guard_checks() == wanted.guard_checks
    assert library.weights_sha256() == hashlib.sha256(wanted.weights).hexdigest()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"class_weights": "balanced"}, "changes the loss as labels come"),
        ({"replay": 4, "replay_in": "flash"}, "slots that lie in flash"),
        ({"anomaly": "error", "loss": "mean_squared_error"}, "judges steps by labels"),
    ],
)
def test_what_a_guard_cannot_undo_is_refused(options: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Options(guard=64, **options)  # type: ignore[arg-type]
