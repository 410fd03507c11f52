"""An inference between the portions of a step, on the state that trains, in an arena of its own."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.support.bottlenecks import bottlenecks
from tests.support.emulated_programs import execute
from tests.support.graphs import GRAPHS, SOME_WEIGHTS
from tests.support.host_programs import PROGRAMS, SANITIZERS, link
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.errors import UsageError
from tinytrain.ir.graph import Graph
from tinytrain.passes.base import Runner
from tinytrain.target import load_target
from tinytrain.toolchain.build import build
from tinytrain.toolchain.build_files import MAIN

FINEST = 1e-9
PARTIAL = 'biases = 3\nchannels = "random"\n' + SOME_WEIGHTS
CASES: dict[str, tuple[Graph, dict[str, Any]]] = {
    "convolutions": (GRAPHS["convolutions"](), {}),
    "partial": (GRAPHS["convolutions"](), {"scheme": PARTIAL, "momentum": 0.9, "accumulate": 2}),
    "mixture": (GRAPHS["mixture"](), {"gradient": "f32", "guard": 2}),
    "differences": (GRAPHS["differences"](), {"optimizer": "adam"}),
    "embedding": (GRAPHS["embedding"](), {"health": False}),
    "bottlenecks": (bottlenecks(0), {"scheme": "last-2", "portions": 0.05}),
}


def product_of(case: str, place: Path, target: str = "host") -> Product:
    graph, more = CASES[case]
    options = {"learning_rate": 0.01, "scheme": "full", "portions": FINEST, **more}
    if options["scheme"] == PARTIAL:
        (place / "partial.toml").write_text(PARTIAL)
        options["scheme"] = str(place / "partial.toml")
    found = load_target(target)
    chosen = Options(seed=11, concurrent=True, **options)
    compiled = build_step(graph, chosen, Runner(), isa=found.isa)
    return write_folder(compiled, place / "model", target=found)


def weights_of(product: Product) -> list[tuple[int, int]]:
    """(offset, bytes) in a saved file, behind its header, of what inference reads."""
    plan = product.compiled.concurrent
    assert plan is not None
    read = {value for node in plan.graph.nodes for value in node.inputs}
    found, at = [], 0
    for value, data in plan.graph.parameters.items():
        found += [(at, data.nbytes)] if value in read else []
        at += data.nbytes
    return found


def tell(product: Product, steps: int, *more: str) -> None:
    """Writes what the program has to know of a model beside the model."""
    name = product.compiled.graph.name
    lines = [f'#include "{name}.h"', f"#define MODEL {name}", f"#define CAPITALS {name.upper()}"]
    spans = ", ".join(f"{{{start}U, {size}U}}" for start, size in weights_of(product))
    lines += [f"#define WEIGHTS {spans}", f"#define STEPS {steps}U"]
    (product.directory / "src" / "under_test.h").write_text("\n".join([*lines, *more, ""]))


@pytest.mark.parametrize("case", CASES)
def test_it_gives_what_inference_gives(case: str, tmp_path: Path) -> None:
    """Between any two portions, with budgets from one portion to all."""
    product = product_of(case, tmp_path)
    tell(product, 6)
    program = link("portions_concurrent.c", [product.directory], tmp_path, flags=SANITIZERS)
    assert program.run() == "ok\n"


@pytest.mark.skipif(shutil.which("qemu-system-arm") is None, reason="qemu-system-arm is missing")
def test_on_a_cortex_m7(tmp_path: Path) -> None:
    target = load_target("mps2-an500")
    product = product_of("partial", tmp_path, target.name)
    tell(product, 3, '#include "tt_port.h"', "#define ON_DEVICE")
    folder = product.directory
    (folder / MAIN).write_text((PROGRAMS / "portions_concurrent.c").read_text())
    program = build(folder, target, name=product.compiled.graph.name, variant="concurrent")
    done = execute(program, target, tmp_path / "run")
    assert (done.code, done.lines) == (0, ["ok"]), done


def test_its_arena_is_counted(tmp_path: Path) -> None:
    product = product_of("bottlenecks", tmp_path)
    plan, manifest = product.compiled.concurrent, product.manifest
    assert plan is not None and manifest.portions is not None
    assert manifest.ram["concurrent arena"] == plan.nbytes < manifest.arena.nbytes
    assert manifest.ram["total"] == sum(
        size for use, size in manifest.ram.items() if use != "total"
    )
    assert manifest.portions.concurrent == plan.cost > 0
    assert "an inference in between" in manifest.portions.sentence()
    assert plan.chains, "as no activation is saved, layers that train are line-buffered, too"


def test_what_it_does_not_go_with() -> None:
    with pytest.raises(UsageError, match="concurrent=True changes nothing, as portions= is not"):
        Options(concurrent=True)
    with pytest.raises(UsageError, match="takes a whole sample") as refused:
        Options(concurrent=True, portions=0.01, feed="rows")
    assert "help: leave out one of both" in str(refused.value)
