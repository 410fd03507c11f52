"""Channel tiling and rematerialization give the bits of the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.bottlenecks import OPTIONS, bottlenecks
from tests.support.sessions import agree, make_stream, opened, sanitized_host
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph
from tinytrain.ir.operations import frozen_count, loss_index
from tinytrain.passes.base import Runner
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.channel_tiling import tileable_runs, tilings_of
from tinytrain.plan.narrow import narrowed
from tinytrain.plan.plan import Plan
from tinytrain.plan.rematerialize import ForwardPart, parts, rematerialized
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target


def plan_of(graph: Graph, isa: str, seed: int) -> Plan:
    """As many rematerialized parts as share no node, and every run tiled, some more finely than
    others; the workspace narrow at times."""
    start = frozen_count(graph, graph.nodes[: loss_index(graph)])
    chosen: list[ForwardPart] = []
    for part in parts(graph, start)[seed % 2 :]:
        if not any(part.meets(other) for other in chosen):
            chosen.append(part)
    other = rematerialized(graph, chosen)
    found = [tilings_of(other, one) for one in tileable_runs(other)]
    tilings = [each[(seed + k) % len(each)] for k, each in enumerate(found) if each]
    assert tilings or chosen
    limits = narrowed(other, isa, 0, tilings=tilings).limits if seed % 3 == 0 else {}
    return plan_memory(other, isa, limits, tilings=tilings)


def product_of(seed: int, directory: Path, target: str) -> Product:
    options = Options(seed=seed, learning_rate=0.01, **OPTIONS[seed % len(OPTIONS)])  # type: ignore[arg-type]
    found = load_target(target)
    compiled = build_step(bottlenecks(seed), options, Runner(), isa=found.isa)
    plan = plan_of(compiled.graph, found.isa, seed)
    compiled = replace(compiled, plan=plan)
    return write_folder(compiled, directory, target=found, target_name=target)


def compare(product: Product, engine: Engine, path: Path, steps: int) -> None:
    agree(product, engine, make_stream(opened(product), path, steps))


@pytest.mark.parametrize("seed", range(12))
def test_on_the_host(seed: int, tmp_path: Path) -> None:
    product = product_of(seed, tmp_path / "model", "host")
    engine = sanitized_host(opened(product))
    # Beyond the step in which updates are counted, and the one after it.
    compare(product, engine, tmp_path / "data.npz", 66)


@pytest.mark.parametrize("target", ["mps2-an500", "mps3-an547", "m0"])
@pytest.mark.parametrize(
    "seed",
    [0, 1, 4, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (2, 3, 5, 6, 7, 8, 9))],
)
def test_on_a_core(target: str, seed: int, tmp_path: Path) -> None:
    product = product_of(seed, tmp_path / "model", target)
    compare(product, QemuEngine(opened(product)), tmp_path / "data.npz", 3)


def test_saved_parameters_fit_every_plan(tmp_path: Path) -> None:
    small = product_of(0, tmp_path / "small", "host")
    options = Options(seed=0, learning_rate=0.01, **OPTIONS[0])  # type: ignore[arg-type]
    target = load_target("host")
    plain = write_folder(
        build_step(bottlenecks(0), options, Runner(), isa=target.isa),
        tmp_path / "plain",
        target=target,
        target_name="host",
    )
    assert small.manifest.arena.tilings or small.manifest.arena.rematerialized
    assert not plain.manifest.arena.tilings and not plain.manifest.arena.rematerialized
    assert small.manifest.model_hash == plain.manifest.model_hash
    assert small.manifest.saved_bytes == plain.manifest.saved_bytes
