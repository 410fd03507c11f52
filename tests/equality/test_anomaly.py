"""What is not normal: the same scores, thresholds and verdicts on every engine."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.sessions import opened, run, sanitized_host
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.data import Dataset
from tinytrain.data.inputs import checked_samples
from tinytrain.emit.frozen import frozen_part
from tinytrain.errors import Where
from tinytrain.ir.operations import loss_index
from tinytrain.losses import SampleTarget
from tinytrain.passes.base import Runner
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.simulation.stream import SampleStream
from tinytrain.simulation.watch import watched_samples
from tinytrain.simulation.watch_reference import WatchReference
from tinytrain.target import load_target

WARM_UP = 16
CASES = (
    ("signal", "last-1", "diagonal", "cross_entropy"),
    ("signal", "last-1", "covariance", "cross_entropy"),
    ("mixture", "last-2", "covariance", "mean_squared_error"),
    ("convolutions", "full", "diagonal", "cross_entropy"),  # nothing is frozen
    ("signal", "last-2", "error", "mean_squared_error"),
    ("convolutions", "full", "error", "mean_squared_error"),
)


def watched(graph: str, scheme: str, kind: str, loss: str, folder: Path) -> Product:
    options = Options(
        scheme=scheme, loss=loss, seed=11, anomaly=kind, anomaly_warm_up=WARM_UP,
        anomaly_in_a_row=2, anomaly_quantile=0.9, learning_rate=2.0**-9,
    )  # fmt: skip
    step = build_step(GRAPHS[graph](), options, Runner())
    return write_folder(step, folder / "model", target=load_target("mps2-an500"))


def reference(product: Product) -> WatchReference:
    compiled = product.compiled
    files = emit_step(compiled)
    assert files.anomaly is not None
    graph, plan = compiled.plan.graph, compiled.plan
    forward = graph.nodes[: loss_index(graph)]
    features = frozen_part(graph, plan, forward).whole_values()
    assert features is not None
    return WatchReference(
        compiled.graph,
        files.anomaly,
        () if files.anomaly.of_error else features,
        compiled.scales,
        compiled.rate,
        compiled.options.seed,
        compiled.options.rate_schedule,
    )


def stream_for(product: Product, seed: int = 0) -> SampleStream:
    """Normal samples near one another, then some far off, then normal ones again."""
    folder = opened(product)
    spec = folder.spec
    rng = np.random.default_rng(seed)
    shape = (64, *spec.source_shape[1:])
    assert spec.scale is not None
    step = np.float32(spec.scale)
    x = rng.normal(0, 12, shape).astype(np.float32) * step
    x[40:46] = rng.choice([-100, 100], (6, *shape[1:])).astype(np.float32) * step
    data = Dataset(spec, checked_samples(x, spec, Where("x")), None)
    if spec.wants is SampleTarget.VALUES:
        targets = rng.normal(0, 1, (1, spec.output_size)).astype(np.float32)
        targets = np.repeat(targets, 64, axis=0)
        targets[40:46] += 1000
        data = Dataset(spec, data.x, targets)
    else:
        data = watched_samples(data)
    return SampleStream(
        train=data, order=np.arange(64), evaluation=_part(data, slice(36, 48)), watches=True
    )


def _part(data: Dataset, index: slice) -> Dataset:
    assert data.y is not None
    return Dataset(data.spec, data.x[index], data.y[index])


@pytest.mark.parametrize(
    ("graph", "scheme", "kind", "loss"),
    [
        pytest.param(*c, marks=[pytest.mark.slow] if c[0] != "signal" or c[2] == "diagonal" else [])
        for c in CASES
    ],
)
def test_watching_equals_the_reference(
    graph: str, scheme: str, kind: str, loss: str, tmp_path: Path
) -> None:
    product = watched(graph, scheme, kind, loss, tmp_path)
    stream = stream_for(product)
    wanted = run(reference(product), stream)
    seen = wanted.judged["watch"]
    assert {0, 1} <= set(seen["verdict"].tolist()) and not seen["learned"].all()
    engines: dict[str, Engine] = {
        "host": sanitized_host(opened(product)),
        "Cortex-M7": QemuEngine(opened(product)),
    }
    for name, engine in engines.items():
        found = run(engine, stream)
        for when, rows in wanted.judged.items():
            assert found.judged[when].tobytes() == rows.tobytes(), (name, when)
        assert found.saved is not None and wanted.saved is not None
        assert found.saved[48:-4] == wanted.saved, name
        assert found.health is not None and wanted.health is not None
        assert found.health.steps == wanted.health.steps, name
        assert found.health.gradients == wanted.health.gradients, name
        assert found.health.updates == wanted.health.updates, name


def test_watching_where_nothing_trains(tmp_path: Path) -> None:
    product = watched("signal", "none", "diagonal", "cross_entropy", tmp_path)
    stream = stream_for(product)
    wanted, found = run(reference(product), stream), run(sanitized_host(opened(product)), stream)
    for when, rows in wanted.judged.items():
        assert found.judged[when].tobytes() == rows.tobytes(), when
    assert found.saved is not None and found.saved[48:-4] == wanted.saved
