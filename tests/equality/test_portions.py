"""A step that is cut into portions gives the bits of the reference, however finely it is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.bottlenecks import OPTIONS, bottlenecks
from tests.support.graphs import GRAPHS, SOME_WEIGHTS, shared_weights, steep_curves
from tests.support.sessions import agree, make_stream, opened, sanitized_host
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, within
from tinytrain.passes.base import Runner
from tinytrain.plan.portions import cut_step
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target

FINEST = 1e-9
"""Of a step: every node is cut into as many parts as there are."""

STEPS = 5
PARTIAL = 'biases = 3\nchannels = "random"\n' + SOME_WEIGHTS
OWN = {"shared_weights": shared_weights, "steep_curves": steep_curves}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "convolutions-s8": ("convolutions", {}),
    "convolutions-s16": ("convolutions", {"gradient": "s16", "update": "nearest"}),
    "convolutions-f32": ("convolutions", {"gradient": "f32"}),
    "partial-s8": ("convolutions", {"scheme": PARTIAL, "fraction_bits": 2}),
    "partial-s16": ("convolutions", {"scheme": PARTIAL, "gradient": "s16", "fraction_bits": 0}),
    "partial-momentum": ("convolutions", {"scheme": PARTIAL, "momentum": 0.9, "accumulate": 2}),
    "mixture-s8": ("mixture", {"fraction_bits": 8, "loss": "mean_squared_error"}),
    "mixture-f32": ("mixture", {"gradient": "f32", "clip_norm": 0.25}),
    "signal-last": ("signal", {"scheme": "last-2", "schedule": "cosine:5", "warm_up": 2}),
    "signal-guard": ("signal", {"guard": 2}),
    "signal-balanced": ("signal", {"class_weights": "balanced", "loss": "cross_entropy"}),
    "layouts": ("layouts", {}),
    "differences": ("differences", {"optimizer": "adam"}),
    "embedding": ("embedding", {"gradient": "s16"}),
    "shared_weights": ("shared_weights", {}),
    "steep_curves": ("steep_curves", {"gradient": "f32"}),
}
LATER = ("convolutions-s16", "partial-s16", "differences", "embedding", "steep_curves", "layouts")


def product_of(
    name: str, folder: Path, target: str = "mps2-an500", portions: float = FINEST
) -> Product:
    graph, more = CASES[name]
    options = {"seed": 11, "learning_rate": 0.01, **more}
    if options.get("scheme") == PARTIAL:
        (folder / "partial.toml").write_text(PARTIAL)
        options["scheme"] = str(folder / "partial.toml")
    found = load_target(target)
    chosen = Options(portions=portions, **options)
    compiled = build_step({**GRAPHS, **OWN}[graph](), chosen, Runner(), isa=found.isa)
    return write_folder(compiled, folder / "model", target=found)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LATER else []) for name in CASES],
)
def test_the_finest_parts_equal_the_reference(name: str, tmp_path: Path) -> None:
    product = product_of(name, tmp_path)
    assert product.manifest.portions is not None
    assert product.manifest.portions.count > len(product.compiled.plan.graph.nodes)
    folder = opened(product)
    stream = make_stream(folder, tmp_path / "data.npz", STEPS)
    for engine in (sanitized_host(folder), QemuEngine(folder)):
        agree(product, engine, stream)


@pytest.mark.parametrize("target", ["mps3-an547", "m0"])
@pytest.mark.parametrize("name", ["convolutions-s8", "partial-s8"])
def test_on_other_cores(name: str, target: str, tmp_path: Path) -> None:
    product = product_of(name, tmp_path, target)
    stream = make_stream(opened(product), tmp_path / "data.npz", 3)
    agree(product, QemuEngine(opened(product)), stream)


@pytest.mark.parametrize("seed", [0, 1, 4])
def test_tiles_and_chains_are_portions(seed: int, tmp_path: Path) -> None:
    """In the least memory: channel tilings, line-buffered chains, what runs again."""
    target = load_target("mps2-an500")
    options = Options(
        seed=seed, portions=FINEST, learning_rate=0.01, **OPTIONS[seed % len(OPTIONS)]
    )  # type: ignore[arg-type]
    compiled = build_step(bottlenecks(seed), options, Runner(), isa=target.isa)
    product = write_folder(within(compiled, 0), tmp_path / "model", target=target)
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    for engine in (sanitized_host(opened(product)), QemuEngine(opened(product))):
        agree(product, engine, stream)


def test_no_portion_is_longer_than_asked_for_where_it_can_be_cut() -> None:
    """Whatever the share: what exceeds it cannot be cut further."""
    compiled = build_step(
        GRAPHS["convolutions"](), Options(learning_rate=0.01), Runner(), isa="dsp"
    )
    counts = []
    for share in (1.0, 0.1, 0.02, 0.005, FINEST):
        portions, finest, whole = (cut_step(compiled.plan, s) for s in (share, FINEST, 1.0))
        assert portions and finest and whole
        for name, cut in portions.cuts.items():
            assert cut.cost <= max(share * whole.instructions, finest.cuts[name].cost)
        counts.append(portions.count)
    assert counts == sorted(counts) and counts[-1] > 2 * counts[0]
