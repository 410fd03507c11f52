"""Plans for little RAM of a real network: the same weights, nothing outside its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.memory import CASES, Case, measured
from tests.support.imported import shared_model
from tests.support.paths import SCHEMES
from tests.support.sessions import assert_equal, make_stream, opened, reference_engine, run
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.simulation.host import HostEngine


def compiled(folder: Path, ram: int, feed: str, case: Case = CASES[0], **more: float) -> Product:
    return compile_model(
        shared_model(case.model),
        output=folder,
        target="mps2-an500",
        scheme=str(SCHEMES / f"{case.scheme}.toml"),
        classes=10,
        learning_rate=2.0**-7,
        ram=ram,
        feed=feed,
        **more,
    )


def hold(product: Product, data: Path, steps: int) -> None:
    """The C on this machine, nothing of it kept between samples, gives the reference's bits."""
    stream = make_stream(opened(product), data, steps=steps)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    state = wanted.saved[len(wanted.weights) :]
    assert_equal(run(HostEngine(opened(product), frozen_memory=0), stream), wanted, state)


def test_a_real_network_in_little_ram(tmp_path: Path) -> None:
    product = compiled(tmp_path / "model", 80_500, "rows")
    ways = {way.name for way in product.manifest.arena.optimizations}
    assert ways == {"in-place reuse", "line buffering", "channel tiling", "narrow workspace"}
    hold(product, tmp_path / "data.npz", steps=2)
    # Under emulation, its arena between guards and its stack painted.
    found = measured(product)
    assert found.ram <= 80_500
    assert found.outcome.stack_used is not None


@pytest.mark.slow
def test_where_activations_are_computed_again(tmp_path: Path) -> None:
    """All that there is, at once: what trains needs no more than the frozen stem."""
    product = compiled(tmp_path / "model", 142_500, "rows", CASES[1], recompute=0.3)
    ways = {way.name for way in product.manifest.arena.optimizations}
    assert {"rematerialization", "channel tiling"} <= ways
    hold(product, tmp_path / "data.npz", steps=3)
    assert measured(product).ram <= 142_500


@pytest.mark.slow
def test_the_input_as_a_whole(tmp_path: Path) -> None:
    product = compiled(tmp_path / "model", 123_000, "whole")
    hold(product, tmp_path / "data.npz", steps=2)
    assert measured(product).ram <= 123_000
