"""The models in ../shared: they compile, fit, and learn the same on every engine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.paths import SCHEMES, SHARED_MODELS
from tests.support.real_models import FILES, OWN_SCHEMES, QUICK
from tests.support.sessions import agree, assert_equal, make_stream, opened, reference_engine, run
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target

# TTE's own generator reports this for the 49 KB scheme, its stack not counted.
TTE_RAM = 237_456

PRESETS = ("head", "bias", "last-3", "full")
EVERY = tuple(
    (model, scheme) for model in FILES for scheme in (*OWN_SCHEMES.get(model, ()), *PRESETS)
)
CORES = ("m0", "mps2-an385", "mps2-an386", "mps2-an505", "mps3-an547", "riscv32")
"""Beside the Cortex-M7 that the models are compiled for."""

pytestmark = pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="../shared/models is missing")


def compiled(model: str, scheme: str, folder: Path, **options: object) -> Product:
    """A model with ten classes, or the autoencoder as it is, for the emulated Cortex-M7."""
    regression = model == "ad01"
    return compile_model(
        SHARED_MODELS / FILES[model],
        output=folder / "model",
        target="mps2-an500",
        classes=None if regression else 10,
        loss="mean_squared_error" if regression else "cross_entropy",
        scheme=str(SCHEMES / scheme) if scheme.endswith(".toml") else scheme,
        seed=3,
        **options,
    )


def hold(product: Product, engines: dict[str, Engine], folder: Path, steps: int = 3) -> None:
    """Every engine agrees with the reference."""
    stream = make_stream(opened(product), folder / "data.npz", steps)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    for name, engine in engines.items():
        try:
            assert_equal(run(engine, stream), wanted, wanted.saved[len(wanted.weights) :])
        except AssertionError as error:
            raise AssertionError(f"{name} disagrees with the reference") from error


@pytest.mark.parametrize(
    ("model", "scheme"),
    [pytest.param(*c, marks=[pytest.mark.slow] if c[0] in ("mbv2", "vww") else []) for c in QUICK],
)
def test_models_learn_the_same_on_the_host(model: str, scheme: str, tmp_path: Path) -> None:
    product = compiled(model, scheme, tmp_path)
    hold(product, {"gcc": HostEngine(opened(product))}, tmp_path)
    assert product.compiled.plan.nbytes == product.compiled.plan.lower_bound


def test_a_model_is_evaluated_on_the_way(tmp_path: Path) -> None:
    options = {"schedule": "cosine:4", "warm_up": 2, "label_smoothing": 0.1}
    product = compiled("kws", "last-3", tmp_path, **options)
    stream = make_stream(opened(product), tmp_path / "data.npz", steps=6)
    stream = replace(stream, evaluate_every=2)
    found, wanted = agree(product, HostEngine(opened(product)), stream)
    assert found.checkpoints == wanted.checkpoints
    assert [point.step for point in found.checkpoints] == [2, 4, 6]


def test_mcunet_needs_less_ram_than_tte(tmp_path: Path) -> None:
    product = compiled("mcunet", "mcunet-5fps-49kb.toml", tmp_path)
    assert product.memory.ram["total"] < TTE_RAM


def test_a_scheme_of_each_model_is_held_on_every_core() -> None:
    assert set(QUICK) <= set(EVERY)
    assert {model for model, _ in QUICK} == set(FILES)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "scheme"), EVERY)
def test_every_scheme_learns_the_same(model: str, scheme: str, tmp_path: Path) -> None:
    """With gcc and on the Cortex-M7; one scheme of each model with every compiler and core."""
    product = compiled(model, scheme, tmp_path)
    folder = opened(product)
    engines: dict[str, Engine] = {"gcc": HostEngine(folder), "Cortex-M7": QemuEngine(folder)}
    if (model, scheme) in QUICK:
        engines |= other_engines(folder)
    hold(product, engines, tmp_path, steps=2)


def other_engines(folder: GeneratedFolder) -> dict[str, Engine]:
    return {
        "clang": HostEngine(folder, compiler="clang", variant="clang"),
        "sanitized": HostEngine(
            folder,
            optimise="-O1",
            cflags_extra=("-fsanitize=address,undefined",),
            variant="sanitized",
        ),
        **{name: QemuEngine(folder, target=load_target(name)) for name in CORES},
    }
