"""Pseudo-labels: every engine takes the same samples for the same classes, and learns the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tinytrain
from examples.digits import data as digits
from examples.digits.story import MODEL
from tests.support.graphs import GRAPHS
from tests.support.rehearsal import with_set
from tests.support.replay_sessions import engines_of
from tests.support.sessions import agree, make_stream, opened, reference_engine, run
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.enrolment import make_enrolment
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.pseudo import make_pseudo_labels
from tinytrain.data import Dataset
from tinytrain.passes.base import Runner
from tinytrain.reference.pseudo import LEFT
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.session import plan_session
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target

STEPS = 60
CASES: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("signal", 96, {"guard": 5}),
    ("mixture", 40, {"enrol": "knn:3", "rehearse": 5}),
    ("convolutions", 96, {"guard": 8, "rehearse": 4, "feed": "rows", "health": False}),
)
"""Graph, labelled samples, options; with 64 samples and more there is a map to codes."""


def clouds(compiled: Compiled, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Samples that lie around one point for each class, packed, and their labels."""
    rng = np.random.default_rng(3)
    size = sum(value.type.size for value in compiled.graph.sample)
    points = rng.integers(-90, 91, (compiled.classes, size))
    labels = np.arange(count) % compiled.classes
    return (points[labels] + rng.integers(-9, 10, (count, size))).astype(np.int8), labels


def product_of(graph: str, count: int, options: dict[str, Any], folder: Path) -> Product:
    options = dict(options)
    slots = options.pop("rehearse", 0)
    chosen = Options(scheme="head", seed=11, pseudo_labels=True, rate_limit=1024.0, **options)
    step = build_step(GRAPHS[graph](), chosen, Runner())
    step = with_set(step, slots) if slots else step
    given = clouds(step, count)
    if chosen.enrol is not None:
        step = replace(step, enrolment=make_enrolment(step, *given))
    step = replace(step, pseudo=make_pseudo_labels(step, *given))
    return write_folder(step, folder / "model", target=load_target("mps2-an500"))


def unlabelled(product: Product, count: int, path: Path) -> SampleStream:
    """A third of the samples lies anywhere."""
    folder = opened(product)
    stream = make_stream(folder, path, STEPS)
    q, labels = clouds(product.compiled, count)
    q = q[:STEPS].copy()
    anywhere = np.random.default_rng(8).integers(-128, 128, q.shape)
    q[::3] = anywhere[::3]
    spec = folder.spec
    assert spec.scale is not None
    real = (q.astype(np.float32) - spec.zero_point) * np.float32(spec.scale)
    data = Dataset(spec, real.reshape(-1, *spec.shape[1:]), labels[: len(q)].astype(np.int32))
    order = np.arange(STEPS, dtype=np.int64) % len(q)
    kept = make_stream(folder, path.with_name("kept.npz"), 1, seed=7).train
    return replace(
        stream,
        train=data,
        order=order,
        unlabelled=True,
        is_guarded=folder.manifest.guard is not None,
        kept=kept if folder.manifest.guard else None,
        rehearsal_steps=2 if product.compiled.rehearsal else None,
        evaluate_every=25,
    )


@pytest.mark.parametrize(
    ("graph", "count", "options"),
    [pytest.param(*c, marks=[pytest.mark.slow] if c in CASES[2:] else []) for c in CASES],
)
def test_samples_without_labels_equal_the_reference(
    graph: str, count: int, options: dict[str, Any], tmp_path: Path
) -> None:
    product = product_of(graph, count, options, tmp_path)
    stream = unlabelled(product, count, tmp_path / "data.npz")
    wanted = run(reference_engine(product.compiled), stream)
    found = wanted.pseudo_labels
    assert 0 < found.count(LEFT) < STEPS and len(set(found)) > 2
    for name, engine in engines_of(product).items():
        outcome = run(engine, stream) if "health" in options else agree(product, engine, stream)[0]
        assert outcome.pseudo_labels == found, name
        assert outcome.losses.size == STEPS - found.count(LEFT), name
        assert outcome.weights == wanted.weights, name
        assert outcome.guard_checks == wanted.guard_checks, name
        assert outcome.checkpoints == wanted.checkpoints, name
    if product.compiled.rehearsal is None:  # without samples kept apart the guard is blind
        for engine in (reference_engine(product.compiled), HostEngine(opened(product))):
            with pytest.raises(tinytrain.TinytrainError, match="EMPTY"):
                run(engine, replace(stream, kept=None))


def test_a_real_network_equals_the_reference(tmp_path: Path) -> None:
    known = digits.as_trained(digits.TRAIN)
    place = tmp_path / "own"
    product = tinytrain.compile_model(
        MODEL,
        output=place,
        calibration=[{"x": known.x[:128], "y": known.y[:128]}],
        scheme="head",
        pseudo_labels=True,
        guard=20,
        rehearsal_slots=20,
    )
    images = digits.as_trained(digits.TEST)
    np.savez(tmp_path / "new.npz", x=images.x[:80])
    folder = opened(product)
    stream = plan_session(
        folder, data=tmp_path / "new.npz", steps=80, order="as-is", unlabelled=True
    )
    outcome, wanted = agree(product, HostEngine(folder), stream)
    labels = np.array(outcome.pseudo_labels)
    assert outcome.pseudo_labels == wanted.pseudo_labels
    taken = labels != LEFT
    assert 0.3 < taken.mean() < 1.0
    assert np.mean(labels[taken] == images.y[:80][taken]) > 0.95
