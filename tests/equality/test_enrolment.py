"""Enrolled classes: the same ones on every engine, to the bit of a saved file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.sessions import make_stream, opened, reference_engine, run, sanitized_host
from tinytrain.compiler.enrolment import make_enrolment
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target

STEPS = 40
CASES = (
    ("signal", "head", "ncm", 0, 96),
    ("signal", "none", "knn:5:3", 2, 0),
    ("mixture", "head", "knn:3", 0, 0),
    ("mixture", "none", "ncm", 6, 80),
)
"""Graph, scheme, method, labels beyond the model's, calibration samples."""


def compiled(graph: str, scheme: str, method: str, extra: int, count: int, folder: Path) -> Product:
    options = Options(scheme=scheme, seed=11, enrol=method)
    step = build_step(GRAPHS[graph](), options, Runner())
    options = replace(step.options, enrol_classes=step.classes + extra)
    step = replace(step, options=options)
    rng = np.random.default_rng(3)
    size = sum(value.type.size for value in step.graph.sample)
    samples = rng.integers(-128, 128, (count, size)).astype(np.int8) if count else None
    labels = None if samples is None else rng.integers(0, step.classes, count)
    step = replace(step, enrolment=make_enrolment(step, samples, labels))
    return write_folder(step, folder / "model", target=load_target("mps2-an500"))


def enrolling(product: Product, path: Path) -> SampleStream:
    """Random samples whose labels are any that can be enrolled."""
    folder = opened(product)
    record = folder.manifest.enrolment
    assert record is not None
    stream = make_stream(folder, path, STEPS)
    spec = replace(folder.spec, classes=record.classes)
    x = np.random.default_rng(5).integers(-3, 4, (STEPS, *stream.train.x.shape[1:]))
    y = np.random.default_rng(6).integers(0, record.classes, STEPS).astype(np.int32)
    data = replace(stream.train, spec=spec, x=x.astype(np.float32) * spec.scale * 30, y=y)
    return SampleStream(train=data, order=np.arange(STEPS), evaluation=data, enrols=True)


@pytest.mark.parametrize(
    ("graph", "scheme", "method", "extra", "count"),
    [pytest.param(*c, marks=[pytest.mark.slow] if c in CASES[2:] else []) for c in CASES],
)
def test_enrolled_classes_equal_the_reference(
    graph: str, scheme: str, method: str, extra: int, count: int, tmp_path: Path
) -> None:
    product = compiled(graph, scheme, method, extra, count, tmp_path)
    stream = enrolling(product, tmp_path / "data.npz")
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    folder = opened(product)
    host = sanitized_host(folder)
    engines: dict[str, Engine] = {"host": host, "Cortex-M7": QemuEngine(folder)}
    for name, engine in engines.items():
        found = run(engine, stream)
        assert found.before.predictions == wanted.before.predictions, name
        assert found.after.predictions == wanted.after.predictions, name
        assert found.saved is not None
        assert found.saved[48 : 48 + len(wanted.saved)] == wanted.saved, name
    assert wanted.before.predictions != wanted.after.predictions
