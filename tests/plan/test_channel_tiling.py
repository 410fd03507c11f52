"""Channel tiling: proved plans, broken ones refused, fewer bytes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tests.support.bottlenecks import OPTIONS, bottlenecks
from tests.support.imported import shared_model
from tests.support.steps import step_of
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node
from tinytrain.ir.operations import frozen_count, loss_index, replaced
from tinytrain.ir.types import DType
from tinytrain.isa import ISAS
from tinytrain.kernel.work import is_depthwise
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.channel_tiling import TILE_COUNTS, tileable_runs, tilings_of
from tinytrain.plan.channel_tiling_search import fitted
from tinytrain.plan.narrow import narrowed
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.tiling import ChannelTiling

SEEDS = range(18)


@cache
def scheduled(seed: int) -> Graph:
    return step_of(bottlenecks(seed), seed=seed, **OPTIONS[seed % len(OPTIONS)]).graph


def finest(graph: Graph) -> list[ChannelTiling]:
    """Every run in as many tiles as it can be divided into."""
    return [tilings_of(graph, run)[-1] for run in tileable_runs(graph) if tilings_of(graph, run)]


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_tiling_is_proved(seed: int, isa: str) -> None:
    graph = scheduled(seed)
    for run in tileable_runs(graph):
        for tiling in tilings_of(graph, run):
            assert tiling.size * tiling.count == tiling.channels
            check_plan(plan_memory(graph, isa, tilings=[tiling]))
    plan = plan_memory(graph, isa, tilings=finest(graph))
    check_plan(plan)


def test_some_network_has_every_kind_of_node_in_a_run() -> None:
    ops, ends, deferred = set(), set(), 0
    for seed in SEEDS:
        for run in finest(scheduled(seed)):
            ops |= {node.op for node in run.nodes(scheduled(seed))}
            ends.add(run.total is None)
            deferred += len(run.deferred)
    assert ops == {
        "conv2d_grad_input",
        "conv2d_grad_weight_sgd",
        "bias_grad_sgd",
        "grad_clamp",
        "activation_grad",
    }
    assert ends == {True, False} and deferred > 0


def a_plan() -> tuple[Graph, Plan, ChannelTiling]:
    """Of a run with sums, two wide gradients at a time, and something after the loop."""
    for seed in SEEDS:
        graph = scheduled(seed)
        for run in finest(graph):
            if run.total is not None and run.deferred and len(run.wide) > 3:
                return graph, plan_memory(graph, tilings=[run]), run
    raise AssertionError("no network has one")


def test_broken_plans_are_refused() -> None:
    graph, plan, run = a_plan()
    name = run.sums_name
    assert run.total is not None and name is not None
    read = next(v for v in run.nodes(graph)[0].inputs if v in plan.offsets)
    for change in (
        {"workspaces": {**plan.workspaces, name: plan.offsets[run.wide[0]]}},
        {"workspaces": {**plan.workspaces, name: plan.offsets[read]}},
        {"offsets": {**plan.offsets, run.total: plan.workspaces[name]}},
        {"offsets": {**plan.offsets, run.wide[0]: plan.offsets[read]}},
        {"offsets": {**plan.offsets, run.wide[-1]: plan.nbytes - 4}},
    ):
        with pytest.raises(InternalError):
            check_plan(replace(plan, **change))


def test_runs_that_are_none_are_refused() -> None:
    graph, plan, run = a_plan()
    updates = [node.name for node in run.nodes(graph) if replaced(node)]
    for wrong in (
        replace(run, count=run.count + 1),
        replace(run, total=None),
        replace(run, last=run.last - 1),
        replace(run, first=run.first + 1),
        replace(run, deferred=()),
        replace(run, deferred=(*run.deferred, updates[0])),
    ):
        with pytest.raises(InternalError):
            check_plan(replace(plan, tilings=(wrong,)))


def test_tiles_that_cut_a_byte_are_refused() -> None:
    refused = set()
    for seed in SEEDS:
        graph = scheduled(seed)
        for run in tileable_runs(graph):
            whole = {tiling.count for tiling in tilings_of(graph, run)}
            for count in TILE_COUNTS:
                wrong = replace(run, count=count)
                if run.channels % count or count in whole:
                    continue
                ops = {node.op for node in wrong.nodes(graph) if not _begins_at_a_byte(node, wrong)}
                if ops:
                    with pytest.raises(InternalError, match="cut bytes"):
                        check_plan(plan_memory(graph, tilings=[wrong]))
                refused |= ops
    assert refused == {"grad_clamp", "conv2d_grad_weight_sgd"}


def _begins_at_a_byte(node: Node, run: ChannelTiling) -> bool:
    bits = 0
    if node.op == "conv2d_grad_weight_sgd":
        bits = node.inputs[2].type.size // run.channels * node.attrs["fraction_bits"]
    elif node.op == "grad_clamp":
        bits = int(node.inputs[1].type.dtype is DType.BIT)
    return run.size * bits % 8 == 0


def test_sums_and_copies_have_their_room() -> None:
    graph, plan, run = a_plan()
    name = run.sums_name
    assert name is not None
    wider = replace(plan, nbytes=plan.nbytes + 8)
    with pytest.raises(InternalError, match="begin at a word"):
        moved = {**plan.workspaces, name: plan.nbytes - run.sums + 2}
        check_plan(replace(wider, workspaces=moved))
    copies = [n for n in run.nodes(graph) if n.op == "conv2d_grad_weight_sgd" and is_depthwise(n)]
    assert copies
    for node in copies:
        small = replace(plan.choices[node.name], workspace=4)
        with pytest.raises(InternalError, match="takes"):
            check_plan(replace(plan, choices={**plan.choices, node.name: small}))


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("seed", range(6))
def test_a_limit_is_kept_or_the_least_is_reached(seed: int, isa: str) -> None:
    graph = scheduled(seed)
    start = frozen_count(graph, graph.nodes[: loss_index(graph)])
    span = range(start, len(graph.nodes))
    plain = narrowed(graph, isa, 1 << 30, span)
    least, alone = fitted(graph, isa, 0, start), narrowed(graph, isa, 0, span)
    assert least.narrowed.bound <= alone.bound
    for limit in range(least.narrowed.bound, plain.bound, 997):
        found = fitted(graph, isa, limit, start)
        assert found.narrowed.bound <= limit
        assert plain.cost <= found.narrowed.cost <= least.narrowed.cost or found.tilings
        if alone.bound <= limit:
            assert found.narrowed.cost <= narrowed(graph, isa, limit, span).cost


def test_a_real_network_needs_less_for_fewer_instructions() -> None:
    from tinytrain.frontend import load_model
    from tinytrain.quantize import integerize

    model = integerize(load_model(shared_model("mcunet-5fps-int8.onnx")))
    scheme = "examples/schemes/mcunet-5fps-100kb.toml"
    graph = step_of(model, scheme=scheme, classes=10).graph
    start = frozen_count(graph, graph.nodes[: loss_index(graph)])
    span = range(start, len(graph.nodes))
    alone, least = narrowed(graph, "dsp", 0, span), fitted(graph, "dsp", 0, start)
    assert least.narrowed.bound < 0.97 * alone.bound
    assert fitted(graph, "dsp", alone.bound, start).narrowed.cost < 0.9 * alone.cost
