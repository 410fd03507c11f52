"""Plans that are placed with the least workspace first: valid, smaller, and the same C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.paths import SHARED_MODELS
from tests.support.random_networks import SEEDS, step
from tests.support.sessions import agree, make_stream, opened
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import for_isa, select_trainable, to_integers, training
from tinytrain.frontend import import_model
from tinytrain.ir.operations import frozen_count, loss_index
from tinytrain.passes.base import Runner
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.widen import placed_then_widened
from tinytrain.plan.within import plan_within
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.simulation.host import HostEngine
from tinytrain.target import load_target


def widened(compiled: Compiled, isa: str) -> tuple[Plan, dict[str, int]]:
    graph = compiled.graph
    start = frozen_count(graph, graph.nodes[: loss_index(graph)])
    return placed_then_widened(graph, isa, {}, start)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_workspace_has_a_hole_of_its_own(seed: int) -> None:
    for isa in ("portable", "dsp"):
        plain = for_isa(step(seed), isa).plan
        plan, limits = widened(step(seed), isa)
        check_plan(plan)
        assert plan.lower_bound <= plan.nbytes <= plain.nbytes
        assert plan.cost >= plain.cost
        for name, limit in limits.items():
            assert plan.choices[name].workspace <= limit
            assert plan.workspaces.get(name, 0) + plan.choices[name].workspace <= plan.nbytes


@pytest.mark.parametrize("seed", [1, 3])
def test_generated_c_equals_the_reference(seed: int, tmp_path: Path) -> None:
    compiled = for_isa(step(seed), load_target("host").isa)
    plan, _ = widened(compiled, compiled.plan.isa)
    product = write_folder(
        replace(compiled, plan=plan), tmp_path / "model", target=load_target("host")
    )
    assert product.compiled.plan is plan
    stream = make_stream(opened(product), tmp_path / "data.npz", 4)
    agree(product, HostEngine(opened(product), optimise="-O0", variant="plain"), stream)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_MODELS.is_dir(), reason="needs ../shared with models/")
def test_a_scheme_that_saves_in_many_layers_has_no_gap() -> None:
    model = import_model(SHARED_MODELS / "mcunet-5fps-int8.onnx").graph
    options, runner = Options(classes=10, feed="rows"), Runner()
    forward = to_integers(model, None, options, runner)
    layers = [f"conv_{k}" for k in range(42)]
    saving = {layers[k]: Share(0.25) for k in (15, 18, 21, 24, 27, 30)}
    scheme = Scheme("many", tuple(layers[11:]), saving)
    graph, _ = select_trainable(forward, options, runner, scheme)
    graph = runner.run(graph, training(replace(options, loss="cross_entropy"), scheme))
    plan, optimizations = plan_within(graph, "dsp", 0, fed=True)
    check_plan(plan)
    assert plan.gap == 0, plan.placement
    assert "narrow workspace" in [each.name for each in optimizations]
