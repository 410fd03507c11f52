"""Line-buffered chains: every row once and where it is read, in no more bytes than said."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache

import pytest

from tests.support.graphs import Net
from tests.support.imported import shared_model
from tests.support.stems import random_stem
from tests.support.steps import step_of
from tinytrain.errors import InternalError, UsageError
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.chain import LineBufferedChain, Stripe
from tinytrain.plan.line_buffer import chain_ends, line_buffered
from tinytrain.plan.line_buffer_search import Stem
from tinytrain.plan.plan import Plan
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.within import plan_within
from tinytrain.quantize import integerize

SEEDS = range(24)


@cache
def scheduled(seed: int) -> Graph:
    return step_of(random_stem(seed), scheme="head").graph


@pytest.mark.parametrize("seed", SEEDS)
def test_every_chain_is_proved_and_computes_no_row_twice(seed: int) -> None:
    graph = scheduled(seed)
    end = Stem(graph, plan_memory(graph).choices, "portable").end
    for first in range(end):
        for last, rows, fed in itertools.product(chain_ends(graph, first, end), (1, 2, 5), (0, 1)):
            if fed and first > 0:
                continue
            chain = line_buffered(graph, first, last, rows, fed=bool(fed))
            for node, stripes in zip(graph.nodes[first:], chain.stripes, strict=False):
                assert sum(stripe.rows for stripe in stripes) <= node.output.type.shape[1]
            check_plan(plan_memory(graph, "dsp", chains=[chain]))


def test_some_stem_has_a_long_chain_and_every_operation() -> None:
    ops, longest = set(), 0
    for seed in SEEDS:
        graph = scheduled(seed)
        end = Stem(graph, plan_memory(graph).choices, "portable").end
        ops |= {node.op for node in graph.nodes[:end]}
        longest = max(longest, *chain_ends(graph, 0, end), 0)
    assert ops >= {"conv2d", "add", "avg_pool2d", "max_pool2d", "activation"}
    assert longest >= 8


@pytest.mark.parametrize("seed", SEEDS)
def test_a_segments_peak_is_that_of_the_plan(seed: int) -> None:
    graph = scheduled(seed)
    choices = plan_memory(graph, "dsp").choices
    for fed in (False, True):
        stem = Stem(graph, choices, "dsp", fed=fed)
        smallest = stem.smallest()
        if smallest is None:
            assert fed
            continue
        for limit in {smallest, *(each for each in stem.limits()[-2:] if each > smallest)}:
            cut = stem.within(limit)
            assert cut is not None
            plan = plan_memory(graph, "dsp", cut.limits, chains=cut.chains)
            check_plan(plan)
            behind = max(_live(graph, plan)[stem.end :])
            assert max(_live(graph, plan)[: stem.end]) <= limit
            assert plan.lower_bound <= max(limit, behind)
        assert stem.within(smallest - 1) is None


def _live(graph: Graph, plan: Plan) -> list[int]:
    live = [0] * len(graph.nodes)
    for item in plan.storages:
        for k in range(item.first, item.last + 1):
            live[k] += -(-item.nbytes // 8) * 8
    return live


def _changed(stripe: Stripe) -> list[Stripe]:
    changes = [replace(stripe, rows=stripe.rows + 1), replace(stripe, rows=stripe.rows - 1)]
    changes += [
        replace(stripe, in_rows=stripe.in_rows + 1),
        replace(stripe, pad_top=stripe.pad_top + 1),
    ]
    changes += [replace(stripe, kept=stripe.kept + 1)]
    if stripe.skip:
        changes.append(replace(stripe, skip=(stripe.skip[0] + 1, *stripe.skip[1:])))
    return changes


@pytest.mark.parametrize("seed", [2, 5, 9])
def test_the_checker_refuses_changed_bands(seed: int) -> None:
    graph = scheduled(seed)
    end = Stem(graph, plan_memory(graph).choices, "portable").end
    last = max(chain_ends(graph, 0, end))
    chain = line_buffered(graph, 0, last, 3, fed=True)
    plan = plan_memory(graph, "dsp", chains=[chain])
    check_plan(plan)
    tried = 0
    for node, stripes in enumerate(chain.stripes):
        # A stride may leave the last rows out: there a change may be harmless.
        for step in (0, len(stripes) // 2):
            if stripes[step].rows == 0:
                continue
            for stripe in _changed(stripes[step]):
                _refused(graph, plan, _with_stripe(chain, node, step, stripe))
                tried += 1
    assert tried > 10


def _with_stripe(
    chain: LineBufferedChain, node: int, step: int, stripe: Stripe
) -> LineBufferedChain:
    stripes = [list(of_node) for of_node in chain.stripes]
    stripes[node][step] = stripe
    return replace(chain, stripes=tuple(map(tuple, stripes)))


def _refused(graph: Graph, plan: Plan, chain: LineBufferedChain) -> None:
    with pytest.raises(InternalError):
        check_plan(replace(plan, chains=(chain,)))


def test_the_checker_refuses_a_buffer_over_another() -> None:
    graph = scheduled(5)
    end = Stem(graph, plan_memory(graph).choices, "portable").end
    chain = line_buffered(graph, 0, max(chain_ends(graph, 0, end)), 2, fed=True)
    plan = plan_memory(graph, "dsp", chains=[chain])
    carrying = [buffer.value for buffer in chain.buffers if buffer.carries]
    assert len(carrying) > 1
    for value in carrying[1:]:
        offsets = {**plan.offsets, value: plan.offsets[carrying[0]]}
        with pytest.raises(InternalError):
            check_plan(replace(plan, offsets=offsets))


def test_the_plain_plan_is_taken_where_it_fits() -> None:
    graph = scheduled(5)
    plain = plan_memory(graph, "dsp")
    plan, optimizations = plan_within(graph, "dsp", plain.nbytes)
    assert plan.nbytes == plain.nbytes and not plan.chains
    assert not {each.name for each in optimizations} & {"line buffering", "narrow workspace"}
    plan, optimizations = plan_within(graph, "dsp", plain.nbytes - 8)
    assert plan.nbytes < plain.nbytes and plan.chains
    saved = {each.name: each.saved_bytes for each in optimizations}
    assert saved["line buffering"] > 0
    lost = saved["line buffering"] + saved.get("narrow workspace", 0)
    assert lost == plain.lower_bound - plan.lower_bound


def test_a_network_without_a_frozen_stem_is_planned_as_a_whole() -> None:
    graph = step_of(random_stem(5), scheme="full").graph
    plan, _ = plan_within(graph, "dsp", 0)
    check_plan(plan)
    assert not plan.chains and plan.nbytes <= plan_memory(graph, "dsp").nbytes


def test_rows_cannot_be_fed_where_the_input_is_read_again() -> None:
    net = Net((1, 12, 12, 4), 0)
    squeezed = net.pool("avg_pool2d", net.x, (12, 12), (1, 1), count_include_pad=False)
    x = net.conv(net.multiply(net.conv(net.x, 4), squeezed), 4)
    graph = step_of(net.finish(net.dense(net.flat(x), 3)), scheme="head").graph
    with pytest.raises(UsageError, match="needs it whole"):
        plan_within(graph, "dsp", fed=True)
    plan, _ = plan_within(graph, "dsp", 0)
    check_plan(plan)


def test_chains_go_on_after_what_cannot_be_line_buffered() -> None:
    net = Net((1, 24, 24, 3), 0)
    x = net.conv(net.x, 4, strides=(2, 2))
    gate = net.pool("avg_pool2d", x, (12, 12), (1, 1), count_include_pad=False)
    x = net.multiply(x, gate)
    x = net.conv(net.conv(net.conv(x, 16), 16), 4, strides=(2, 2))
    graph = step_of(net.finish(net.dense(net.flat(x), 3)), scheme="head").graph
    plan, _ = plan_within(graph, "dsp", 0)
    check_plan(plan)
    assert any(graph.nodes[chain.first].layer == "conv_1" for chain in plan.chains)


@pytest.mark.parametrize("padding", [(0, 0, 1, 0), (1, 0, 0, 0), (3, 0, 0, 0), (0, 0, 4, 0)])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_windows_that_lie_in_the_padding_stay_out_of_chains(
    padding: tuple[int, int, int, int], stride: int
) -> None:
    net = Net((1, 15, 15, 3), 0)
    x = net.conv(net.conv(net.x, 4), 4, kernel=(1, 1), padding=(0, 0, 0, 0))
    x = net.conv(x, 4, kernel=(1, 1), strides=(stride, 1), padding=padding)
    graph = step_of(net.finish(net.dense(net.flat(net.conv(x, 4)), 3)), scheme="head").graph
    plan, _ = plan_within(graph, "dsp", 0)
    check_plan(plan)
    assert all(
        stripe.in_rows > 0 for c in plan.chains for b in c.stripes for stripe in b if stripe.rows
    )


def test_a_high_map_takes_no_more_steps_than_another() -> None:
    net = Net((1, 1500, 2, 1), 0)
    x = net.conv(net.conv(net.x, 2, strides=(2, 1)), 2, strides=(3, 1))
    graph = step_of(net.finish(net.dense(net.flat(x), 2)), scheme="head").graph
    plan, _ = plan_within(graph, "dsp", 0, fed=True)
    check_plan(plan)
    assert 1 <= len(plan.chains) <= 2
    assert all(chain.steps <= 128 for chain in plan.chains)


def test_rows_cannot_be_fed_to_layers_that_need_the_whole_input() -> None:
    graph = step_of(random_stem(5), scheme="full").graph
    with pytest.raises(UsageError, match="cannot be fed row by row"):
        plan_within(graph, "dsp", fed=True)


def test_the_stem_of_a_real_network_runs_in_a_third_of_the_bytes() -> None:
    model = load_model(shared_model("mcunet-5fps-int8.onnx"))
    scheme = "examples/schemes/mcunet-5fps-49kb.toml"
    graph = step_of(integerize(model), scheme=scheme, classes=10).graph
    plain = plan_memory(graph, "dsp")
    plan, _ = plan_within(graph, "dsp", 44_000, fed=True)
    check_plan(plan)
    assert plan.nbytes == plan.lower_bound <= 44_000 < plain.nbytes / 3
    assert plan.cost < 1.05 * plain.cost
    plan, _ = plan_within(graph, "dsp", 0, fed=True)
    check_plan(plan)
    assert plan.nbytes == plan.lower_bound < 40_000
