"""A model with two inputs: reference, host C and emulated cores give the same bits."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from tests.support.sessions import (
    assert_equal,
    make_stream,
    opened,
    reference_engine,
    run,
    sanitized_host,
)
from tests.support.two_inputs import two_inputs
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, for_isa, within
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target

STEPS = 6


@cache
def graph() -> Graph:
    return two_inputs()


def product_of(
    folder: Path, target: str = "host", *, small: bool = False, **options: object
) -> Product:
    compiled = build_step(graph(), Options(**{"seed": 3, **options}), Runner())  # type: ignore[arg-type]
    found = load_target(target)
    compiled = for_isa(compiled, found.isa)
    return write_folder(
        within(compiled, 0) if small else compiled, folder, target=found, target_name=target
    )


def compare(product: Product, engine: Engine, data: Path) -> None:
    stream = make_stream(opened(product), data, STEPS)
    wanted, found = run(reference_engine(product.compiled), stream), run(engine, stream)
    assert wanted.saved is not None
    replay = product.manifest.replay
    if replay is None or replay.in_flash:
        assert_equal(found, wanted, wanted.saved[len(wanted.weights) :])
    # Of a buffer in RAM the saved file holds the slots, too.
    assert found.losses.tobytes() == wanted.losses.tobytes()
    assert found.weights == wanted.weights and found.health == wanted.health
    assert found.after.predictions == wanted.after.predictions


@pytest.mark.parametrize(
    "options",
    [
        {"scheme": "full"},
        {"scheme": "full", "small": True, "momentum": 0.5, "accumulate": 2},
        {"scheme": "head", "small": True, "replay": 3},
        {"scheme": "last-2", "replay": 3, "replay_in": "flash"},
    ],
)
def test_on_the_host(options: dict[str, object], tmp_path: Path) -> None:
    product = product_of(tmp_path / "model", **options)  # type: ignore[arg-type]
    for memory in (0, 1 << 20) if options["scheme"] == "head" else (1 << 20,):
        engine = sanitized_host(opened(product), frozen_memory=memory)
        compare(product, engine, tmp_path / "data.npz")


@pytest.mark.parametrize("target", ["mps2-an500", "mps3-an547"])
def test_on_a_core(target: str, tmp_path: Path) -> None:
    product = product_of(tmp_path / "model", target, scheme="full")
    compare(product, QemuEngine(opened(product)), tmp_path / "data.npz")
