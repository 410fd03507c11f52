"""Rehearsal sets: what lies in flash is what the frozen layers give, and steps on it are steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.rehearsal import with_set
from tests.support.replay_sessions import engines_of
from tests.support.sessions import make_stream, opened, reference_engine, run
from tests.support.two_inputs import two_inputs
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.rehearsal import balanced
from tinytrain.passes.base import Runner
from tinytrain.reference.rehearsal import RehearsalSet, shuffled
from tinytrain.saved_file import read_saved
from tinytrain.simulation.host import HostEngine
from tinytrain.target import load_target

STEPS = 12
CASES: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("signal", 7, {"scheme": "last-1", "replay": 3}),
    ("signal", 4, {"scheme": "last-2", "loss": "mean_squared_error", "schedule": "cosine:30"}),
    ("mixture", 5, {"scheme": "last-2", "accumulate": 2, "momentum": 0.9}),
    ("convolutions", 6, {"scheme": "full", "replay": 2, "replay_in": "flash"}),
    ("convolutions", 5, {"scheme": "head", "feed": "rows"}),
)


def product_of(graph: str, slots: int, options: dict[str, Any], folder: Path) -> Product:
    step = build_step(GRAPHS[graph](), Options(seed=11, **options), Runner())
    return write_folder(with_set(step, slots), folder / "model", target=load_target("mps2-an500"))


@pytest.mark.parametrize(
    ("graph", "slots", "options"),
    [
        pytest.param(*c, marks=[pytest.mark.slow] if c in CASES[:1] + CASES[2:4] else [])
        for c in CASES
    ],
)
def test_rehearsal_equals_the_reference(
    graph: str, slots: int, options: dict[str, Any], tmp_path: Path
) -> None:
    product = product_of(graph, slots, options, tmp_path)
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    stream = replace(stream, rehearsal_steps=2, replay_steps=1 if "replay" in options else None)
    if "replay" in options:
        stream = replace(stream, fill=stream.train)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.rehearsal_before != wanted.rehearsal_after
    for name, engine in engines_of(product).items():
        found = run(engine, stream)
        assert found.losses.tobytes() == wanted.losses.tobytes(), name
        assert found.weights == wanted.weights, name
        assert found.health == wanted.health, name
        assert (found.rehearsal_before, found.rehearsal_after) == (
            wanted.rehearsal_before,
            wanted.rehearsal_after,
        ), name
        assert found.saved is not None and wanted.saved is not None
        # The number of rehearsed steps, then scales and step count.
        after = len(wanted.saved) - len(wanted.weights)
        tail = after if "replay" not in options else 4 + 12
        assert read_saved(found.saved).state[-tail:] == wanted.saved[-tail:], name
    never = run(reference_engine(product.compiled), replace(stream, rehearsal_steps=0))
    assert wanted.weights != never.weights


def test_several_inputs(tmp_path: Path) -> None:
    step = with_set(
        build_step(two_inputs(), Options(scheme="last-2", seed=2, rate_limit=1024.0), Runner()), 6
    )
    product = write_folder(step, tmp_path / "model", target=load_target("host"))
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    stream = replace(stream, rehearsal_steps=1)
    wanted = run(reference_engine(product.compiled), stream)
    found = run(HostEngine(opened(product)), stream)
    assert found.weights == wanted.weights
    assert found.rehearsal_after == wanted.rehearsal_after


@pytest.mark.parametrize("count", [1, 2, 3, 7, 10, 64])
def test_a_shuffle_takes_each_place_once_and_all_orders(count: int) -> None:
    """Each place goes to each with the same probability: within 5 deviations."""
    found = np.array([[shuffled(k, count, key) for k in range(count)] for key in range(600)])
    assert (np.sort(found, axis=1) == np.arange(count)).all()
    share = 1 / count
    for place in range(count):
        seen = np.bincount(found[:, place], minlength=count)
        assert np.abs(seen - 600 * share).max() <= 5 * np.sqrt(600 * share * (1 - share))


def test_rounds_visit_each_class_and_each_sample_once() -> None:
    targets = np.repeat(np.array([0, 2, 5], np.int32), [2, 4, 3])
    held = RehearsalSet(np.zeros((9, 1), np.int8), targets)
    slots = [held.slot(number, seed=3) for number in range(3 * 24)]
    labels = targets[slots].reshape(-1, 3)
    assert (np.sort(labels, axis=1) == [0, 2, 5]).all()
    assert len({tuple(row) for row in labels}) > 3
    for label, count in ((0, 2), (2, 4), (5, 3)):
        of_class = np.array([slot for slot in slots if targets[slot] == label])
        cycles = np.sort(of_class.reshape(-1, count), axis=1)
        assert (cycles == np.flatnonzero(targets == label)).all()
    assert slots != [held.slot(number, seed=4) for number in range(3 * 24)]


def test_a_rare_class_gives_all_that_it_has() -> None:
    labels = np.array([0] * 50 + [1] * 2 + [2] * 50, np.int32)
    chosen = balanced(labels, 12)
    assert np.bincount(labels[chosen]).tolist() == [5, 2, 5]
    assert chosen.tolist() == sorted(set(chosen.tolist()))
    assert balanced(labels, 200).tolist() == list(range(102))
    assert balanced(np.zeros((9, 3), np.float32), 4).tolist() == [0, 3, 5, 8]
