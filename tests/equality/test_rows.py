"""Line-buffered chains, and samples fed in rows, give the bits of the reference."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.replay_sessions import hold
from tests.support.sessions import agree, make_stream, opened, sanitized_host
from tests.support.stems import random_stem
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, for_isa, within
from tinytrain.passes.base import Runner
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target


def product_of(seed: int, directory: Path, target: str, **options: object) -> Product:
    """The stem in the smallest arena there is, its kernels those of the target."""
    chosen = Options(**{"scheme": "head", "seed": seed, "learning_rate": 0.01, **options})  # type: ignore[arg-type]
    compiled = build_step(random_stem(seed), chosen, Runner())
    found = load_target(target)
    product = write_folder(
        within(for_isa(compiled, found.isa), 0), directory, target=found, target_name=target
    )
    assert product.compiled.plan.chains or chosen.feed == "whole"
    return product


def compare(product: Product, engine: Engine, path: Path, steps: int = 6) -> None:
    agree(product, engine, make_stream(opened(product), path, steps))


@pytest.mark.parametrize("feed", ["whole", "rows"])
@pytest.mark.parametrize("seed", [2, 5, 6, 9, 11])
def test_on_the_host(seed: int, feed: str, tmp_path: Path) -> None:
    product = product_of(seed, tmp_path / "model", "host", feed=feed)
    # Without memory for frozen results every sample runs through the chain.
    for memory in (0, 1 << 20):
        engine = sanitized_host(opened(product), frozen_memory=memory)
        compare(product, engine, tmp_path / "data.npz")


@pytest.mark.parametrize(
    ("target", "feed"),
    [
        ("mps2-an500", "whole"),
        ("mps2-an500", "rows"),
        ("mps3-an547", "rows"),
        ("m0", "rows"),
        pytest.param("mps3-an547", "whole", marks=pytest.mark.slow),
        pytest.param("m0", "whole", marks=pytest.mark.slow),
    ],
)
def test_on_a_core(target: str, feed: str, tmp_path: Path) -> None:
    product = product_of(5, tmp_path / "model", target, feed=feed)
    compare(product, QemuEngine(opened(product)), tmp_path / "data.npz", 3)


@pytest.mark.parametrize("place", ["ram", "flash"])
def test_with_a_replay_buffer(place: str, tmp_path: Path) -> None:
    more = {"feed": "rows", "replay": 3, "replay_in": place}
    product = product_of(5, tmp_path / "model", "mps2-an500", **more)
    stream = make_stream(opened(product), tmp_path / "data.npz", 6)
    hold(product, replace(stream, replay_steps=2))
