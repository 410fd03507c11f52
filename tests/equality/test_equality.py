"""Reference, host C and emulated cores: the same bits for every operation and option."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from tests.support.graphs import GRAPHS, SOME_WEIGHTS, shared_weights, steep_curves
from tests.support.sessions import (
    assert_equal,
    make_stream,
    opened,
    reference_engine,
    run,
    sanitized_host,
)
from tests.support.torch_modules import Blocks, samples
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.simulation.engine import Engine
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.host import HostEngine
from tinytrain.simulation.qemu import QemuEngine
from tinytrain.target import load_target

STEPS = 6
PARTIAL = 'biases = 3\nchannels = "random"\n' + SOME_WEIGHTS
RATES = """
biases = "all"
[weights]
conv_1 = 1.0
conv_2 = 0.5
[rates]
conv_0 = 1e-3
conv_2 = 40
head = 0.3
"""


PART = """
biases = ["conv_2"]
[weights]
conv_1 = 0.5
"""
OWN_SCHEMES = {"partial": PARTIAL, "rates": RATES, "part": PART}


@dataclass(frozen=True)
class Case:
    """A graph with options."""

    graph: str
    gradient: str
    rule: str = "stochastic"
    bits: int = 4
    loss: str = "cross_entropy"
    scheme: str = "full"
    classes: int | None = None
    more: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        more = "".join(f"-{name}={value}" for name, value in self.more.items())
        update = f"{self.gradient}-{self.rule}-{self.bits}"
        return f"{self.graph}-{update}-{self.loss[:5]}-{self.scheme}{more}"


CASES = (
    Case("convolutions", "s8"),
    Case("convolutions", "s16", "nearest", 0, scheme="partial"),
    Case("convolutions", "f32", "stochastic", 4, scheme="partial"),
    Case("convolutions", "s8", "stochastic", 2, scheme="partial"),
    Case("mixture", "s8", "stochastic", 8, "mean_squared_error"),
    Case("mixture", "f32", "stochastic", 2),
    Case("mixture", "s16", classes=7),
    Case("signal", "s16", "stochastic", 2, "mean_squared_error", "last-2"),
    Case("signal", "f32", "nearest", 0, scheme="bias"),
    Case("signal", "s8", "nearest", 4, scheme="head"),
    Case("convolutions", "s8", scheme="partial", more={"momentum": 0.9, "weight_decay": 0.01}),
    Case("mixture", "s8", bits=8, more={"accumulate": 3, "momentum": 0.5, "clip_norm": 0.25}),
    Case("signal", "s16", bits=0, more={"accumulate": 2, "weight_decay": 1.0}),
    Case("signal", "f32", "nearest", 2, more={"clip_norm": 0.5, "momentum": 0.999}),
    Case("signal", "s8", "nearest", 2, scheme="last-1", more={"weight_decay": 1.0}),
    Case("signal", "s8", scheme="rates", more={"label_smoothing": 0.1}),
    Case("signal", "s16", more={"qas": False, "schedule": "cosine:5", "warm_up": 2}),
    Case("signal", "s8", more={"schedule": "step:1:0.3", "warm_up": 2, "accumulate": 2}),
    Case("signal", "s8", scheme="rates", more={"momentum": 0.5, "qas": False}),
    Case("shared_weights", "s8", more={"momentum": 0.9, "clip_norm": 0.5}),
    Case("shared_weights", "s16", scheme="part"),
    Case("shared_weights", "f32", scheme="last-2"),
    Case("signal", "s8", loss="binary_cross_entropy"),
    Case("mixture", "s8", loss="huber", scheme="last-1"),
    Case("steep_curves", "s8"),
    Case("steep_curves", "s16", "nearest", 0),
    Case("steep_curves", "f32", "stochastic", 2),
    Case("differences", "s8"),
    Case("differences", "s16", "nearest", 0),
    Case("differences", "f32", "stochastic", 2),
    Case("embedding", "s8"),
    Case("embedding", "s16", "nearest", 0, "mean_squared_error"),
    Case("embedding", "f32", "stochastic", 2),
    Case("mixture", "s8", more={"optimizer": "adam", "weight_decay": 0.5, "learning_rate": 0.03}),
    Case("signal", "s16", "nearest", 2, more={"optimizer": "adam", "momentum": 0.9}),
    Case("shared_weights", "f32", bits=0, more={"optimizer": "adam", "accumulate": 2}),
    Case("signal", "s8", scheme="rates", more={"optimizer": "adam", "schedule": "cosine:5"}),
)


def product_of(case: Case, folder: Path) -> Product:
    """Compiles a case for the emulated Cortex-M7."""
    scheme = case.scheme
    if scheme in OWN_SCHEMES:
        (folder / f"{scheme}.toml").write_text(OWN_SCHEMES[scheme])
        scheme = str(folder / f"{scheme}.toml")
    options = Options(
        scheme=scheme,
        classes=case.classes,
        loss=case.loss,
        gradient=case.gradient,
        update=case.rule,
        fraction_bits=case.bits,
        seed=11,
        **case.more,  # type: ignore[arg-type]
    )
    own = {"shared_weights": shared_weights, "steep_curves": steep_curves}
    graph = {**GRAPHS, **own}[case.graph]()
    compiled = build_step(graph, options, Runner())
    return write_folder(compiled, folder / "model", target=load_target("mps2-an500"))


def hold(case: Case, folder: Path, engines: dict[str, Engine], product: Product) -> None:
    """Every engine agrees with the reference."""
    stream = make_stream(opened(product), folder / "data.npz", STEPS)
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    state = wanted.saved[len(wanted.weights) :]
    for name, engine in engines.items():
        try:
            assert_equal(run(engine, stream), wanted, state)
        except AssertionError as error:
            raise AssertionError(f"{name} disagrees with the reference on {case}") from error


def host_engines(folder: GeneratedFolder) -> dict[str, Engine]:
    """The builds of `make test`."""
    return {
        "gcc -O1, sanitizers": sanitized_host(folder),
        "clang -O3": HostEngine(folder, compiler="clang", optimise="-O3", variant="clang3"),
    }


# Each option of these is in another case, too.
LATER = (CASES[2], CASES[5], CASES[7], CASES[8], CASES[12], CASES[13], CASES[14], CASES[16])


@pytest.mark.parametrize(
    "case",
    [pytest.param(c, marks=[pytest.mark.slow] if c in LATER else [], id=str(c)) for c in CASES],
)
def test_host_and_m7_equal_the_reference(case: Case, tmp_path: Path) -> None:
    product = product_of(case, tmp_path)
    folder = opened(product)
    hold(case, tmp_path, {**host_engines(folder), "Cortex-M7": QemuEngine(folder)}, product)


def test_scales_with_headroom_equal_the_reference(tmp_path: Path) -> None:
    """Logits leave as accumulators, with a scale for each of them."""
    given = torch.from_numpy(samples())
    product = compile_model(
        Blocks().eval(),
        given[:1],
        output=tmp_path / "model",
        target="mps2-an500",
        calibration=given.numpy(),
        weight_headroom=4.0,
        range_headroom=4.0,
    )
    folder = opened(product)
    engines = {**host_engines(folder), "Cortex-M7": QemuEngine(folder)}
    hold(Case("blocks", "s8"), tmp_path, engines, product)


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_compiler_and_core_equals_the_reference(case: Case, tmp_path: Path) -> None:
    product = product_of(case, tmp_path)
    folder = opened(product)
    engines: dict[str, Engine] = {
        f"{compiler} {level}": HostEngine(
            folder, compiler=compiler, optimise=level, variant=f"{compiler}{level[1:]}"
        )
        for compiler in ("gcc", "clang")
        for level in ("-O0", "-O3")
    }
    engines["gcc, native"] = HostEngine(folder, cflags_extra=("-march=native",), variant="native")
    for target in ("m0", "mps2-an385", "mps2-an386", "mps2-an500", "mps2-an505", "mps3-an547"):
        for level in ("-O2", "-O3"):
            engines[f"{target} {level}"] = QemuEngine(
                folder, target=load_target(target), optimise=level
            )
    engines["riscv32"] = QemuEngine(folder, target=load_target("riscv32"))
    hold(case, tmp_path, engines, product)
