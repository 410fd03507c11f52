"""The list of passes: what runs, what is dumped and what the docs say follow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.bottlenecks import bottlenecks
from tests.support.graphs import GRAPHS
from tests.support.paths import ROOT
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import (
    PIPELINE,
    build_step,
    selection,
    training,
    within,
)
from tinytrain.emit.model_hash import model_hash
from tinytrain.passes.base import Runner
from tinytrain.scheme.scheme import Scheme, Share

GRAPHLESS = {"prove", "choose", "guide", "warm_up", "emit", "measure"}
"""Steps that make no graph, so that there is nothing to dump after them."""


def dumped(folder: Path) -> list[str]:
    """Names of the passes whose graphs lie in a folder, in the order in which they ran."""
    files = sorted(folder.iterdir())
    assert [int(file.name[:2]) for file in files] == list(range(len(files)))
    return [file.stem[3:] for file in files]


def test_every_step_runs_and_is_dumped_in_the_listed_order(tmp_path: Path) -> None:
    steps: list[str] = []
    compile_model(
        ROOT / "examples/digits/digits.onnx",
        output=tmp_path / "out",
        calibration=np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32),
        scheme="head",
        dump_ir=tmp_path / "ir",
        progress=steps.append,
    )
    names = [stage.name for stage in PIPELINE]
    assert steps == names
    assert dumped(tmp_path / "ir") == [name for name in names if name not in GRAPHLESS]
    for file in (tmp_path / "ir").iterdir():
        assert file.read_text().startswith("graph digits\n")


def test_a_smaller_plan_is_dumped_with_the_nodes_that_run_again(tmp_path: Path) -> None:
    runner = Runner(tmp_path)
    options = Options(learning_rate=0.01, recompute=0.5)
    compiled = build_step(bottlenecks(0), options, runner)
    smaller = within(compiled, 0, runner)
    assert dumped(tmp_path)[-2:] == ["plan", "plan"]
    before, after = (file.read_text() for file in sorted(tmp_path.iterdir())[-2:])
    again = smaller.plan.graph.rematerialized
    assert again and " again\n" not in before
    for twin, node in again.items():
        assert f"  # {twin}, runs {node} again\n" in after


def test_the_docs_list_the_pipeline() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    _, _, rest = text.partition("| step | package | what it does |\n|---|---|---|\n")
    table, _, _ = rest.partition("\n\n")
    rows = [f"| {stage.name} | {stage.package} | {stage.summary} |" for stage in PIPELINE]
    assert table.splitlines() == rows


def test_each_step_has_a_name_of_its_own_and_a_package() -> None:
    assert len({stage.name for stage in PIPELINE}) == len(PIPELINE)
    for stage in PIPELINE:
        assert (ROOT / "tinytrain" / stage.package / "__init__.py").is_file(), stage
        assert stage.summary and "\n" not in stage.summary and stage.summary[-1] != ".", stage


@pytest.mark.parametrize("momentum", [0.0, 0.5])
@pytest.mark.parametrize("name", GRAPHS)
def test_no_pass_changes_its_input(name: str, momentum: float) -> None:
    # An embedding ends in no classifier that could be replaced.
    options = Options(classes=None if name == "embedding" else 3, momentum=momentum)
    last = {
        "convolutions": "conv_7",
        "mixture": "dense_0",
        "signal": "conv_3",
        "layouts": "conv_2",
        "differences": "conv_3",
        "embedding": "dense_1",
    }[name]
    scheme = Scheme("half", (last,), {last: Share(0.5)})
    graph = GRAPHS[name]()
    for step in (*selection(options, scheme), *training(options, scheme)):
        before = model_hash(graph)
        result = Runner().run(graph, [step])
        assert model_hash(graph) == before, step.name
        graph = result
