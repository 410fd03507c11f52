"""Chains that run row by row: every row once and where it is read, in no more bytes than said."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest

from tests.support.graphs import Net
from tests.support.imported import shared_model
from tests.support.stems import random_stem
from tests.support.steps import prove, step_of
from tinytrain.errors import InternalError, UsageError
from tinytrain.frontend import load_model
from tinytrain.ir.graph import Graph
from tinytrain.plan.arena import Plan, plan_memory
from tinytrain.plan.line_buffer import Band, Stream, chains, stream
from tinytrain.plan.line_buffer_search import Stem
from tinytrain.plan.within import plan_within
from tinytrain.quantize import integerize

SEEDS = range(24)


def scheduled(seed: int) -> Graph:
    return step_of(random_stem(seed), scheme="head").graph


@pytest.mark.parametrize("seed", SEEDS)
def test_every_chain_is_proved_and_computes_no_row_twice(seed: int) -> None:
    graph = scheduled(seed)
    end = Stem(graph, plan_memory(graph).choices, "portable").end
    for first in range(end):
        for last, step, fed in itertools.product(chains(graph, first, end), (1, 2, 5), (0, 1)):
            if fed and first > 0:
                continue
            chain = stream(graph, first, last, step, fed=bool(fed))
            for node, bands in zip(graph.nodes[first:], chain.bands, strict=False):
                assert sum(band.rows for band in bands) <= node.output.type.shape[1]
            prove(graph, plan_memory(graph, "dsp", streams=[chain]))


def test_some_stem_has_a_long_chain_and_every_operation() -> None:
    ops, longest = set(), 0
    for seed in SEEDS:
        graph = scheduled(seed)
        end = Stem(graph, plan_memory(graph).choices, "portable").end
        ops |= {node.op for node in graph.nodes[:end]}
        longest = max(longest, *chains(graph, 0, end), 0)
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
            plan = plan_memory(graph, "dsp", cut.limits, streams=cut.streams)
            prove(graph, plan)
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


def _changed(band: Band) -> list[Band]:
    changes = [replace(band, rows=band.rows + 1), replace(band, rows=band.rows - 1)]
    changes += [replace(band, in_rows=band.in_rows + 1), replace(band, pad_top=band.pad_top + 1)]
    changes += [replace(band, kept=band.kept + 1)]
    if band.skip:
        changes.append(replace(band, skip=(band.skip[0] + 1, *band.skip[1:])))
    return changes


@pytest.mark.parametrize("seed", [2, 5, 9])
def test_the_checker_refuses_changed_bands(seed: int) -> None:
    graph = scheduled(seed)
    end = Stem(graph, plan_memory(graph).choices, "portable").end
    last = max(chains(graph, 0, end))
    chain = stream(graph, 0, last, 3, fed=True)
    plan = plan_memory(graph, "dsp", streams=[chain])
    prove(graph, plan)
    tried = 0
    for node, bands in enumerate(chain.bands):
        # A stride may leave the last rows out: there a change may be harmless.
        for turn in (0, len(bands) // 2):
            if bands[turn].rows == 0:
                continue
            for band in _changed(bands[turn]):
                _refused(graph, plan, _with_band(chain, node, turn, band))
                tried += 1
    assert tried > 10


def _with_band(chain: Stream, node: int, turn: int, band: Band) -> Stream:
    bands = [list(of_node) for of_node in chain.bands]
    bands[node][turn] = band
    return replace(chain, bands=tuple(map(tuple, bands)))


def _refused(graph: Graph, plan: Plan, chain: Stream) -> None:
    with pytest.raises(InternalError):
        prove(graph, replace(plan, streams=(chain,)))


def test_the_checker_refuses_a_buffer_over_another() -> None:
    graph = scheduled(5)
    end = Stem(graph, plan_memory(graph).choices, "portable").end
    chain = stream(graph, 0, max(chains(graph, 0, end)), 2, fed=True)
    plan = plan_memory(graph, "dsp", streams=[chain])
    carrying = [buffer.value for buffer in chain.buffers if buffer.carries]
    assert len(carrying) > 1
    for value in carrying[1:]:
        offsets = {**plan.offsets, value: plan.offsets[carrying[0]]}
        with pytest.raises(InternalError):
            prove(graph, replace(plan, offsets=offsets))


def test_the_plain_plan_is_taken_where_it_fits() -> None:
    graph = scheduled(5)
    plain = plan_memory(graph, "dsp")
    plan, ways = plan_within(graph, "dsp", plain.nbytes)
    assert plan.nbytes == plain.nbytes and not plan.streams
    assert not {way.name for way in ways} & {"streaming", "narrow scratch"}
    plan, ways = plan_within(graph, "dsp", plain.nbytes - 8)
    assert plan.nbytes < plain.nbytes and plan.streams
    saved = {way.name: way.saved_bytes for way in ways}
    assert saved["streaming"] > 0
    lost = saved["streaming"] + saved.get("narrow scratch", 0)
    assert lost == plain.lower_bound - plan.lower_bound


def test_a_network_without_a_frozen_stem_is_planned_as_a_whole() -> None:
    graph = step_of(random_stem(5), scheme="full").graph
    plan, _ = plan_within(graph, "dsp", 0)
    prove(graph, plan)
    assert not plan.streams and plan.nbytes <= plan_memory(graph, "dsp").nbytes


def test_rows_cannot_be_fed_where_the_input_is_read_again() -> None:
    net = Net((1, 12, 12, 4), 0)
    squeezed = net.pool("avg_pool2d", net.x, (12, 12), (1, 1), count_include_pad=False)
    x = net.conv(net.multiply(net.conv(net.x, 4), squeezed), 4)
    graph = step_of(net.finish(net.dense(net.flat(x), 3)), scheme="head").graph
    with pytest.raises(UsageError, match="needs it whole"):
        plan_within(graph, "dsp", fed=True)
    plan, _ = plan_within(graph, "dsp", 0)
    prove(graph, plan)


def test_chains_go_on_behind_what_cannot_run_row_by_row() -> None:
    net = Net((1, 24, 24, 3), 0)
    x = net.conv(net.x, 4, strides=(2, 2))
    gate = net.pool("avg_pool2d", x, (12, 12), (1, 1), count_include_pad=False)
    x = net.multiply(x, gate)
    x = net.conv(net.conv(net.conv(x, 16), 16), 4, strides=(2, 2))
    graph = step_of(net.finish(net.dense(net.flat(x), 3)), scheme="head").graph
    plan, _ = plan_within(graph, "dsp", 0)
    prove(graph, plan)
    assert any(graph.nodes[chain.first].layer == "conv_1" for chain in plan.streams)


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
    prove(graph, plan)
    assert all(band.in_rows > 0 for c in plan.streams for b in c.bands for band in b if band.rows)


def test_a_high_map_takes_no_more_turns_than_another() -> None:
    net = Net((1, 1500, 2, 1), 0)
    x = net.conv(net.conv(net.x, 2, strides=(2, 1)), 2, strides=(3, 1))
    graph = step_of(net.finish(net.dense(net.flat(x), 2)), scheme="head").graph
    plan, _ = plan_within(graph, "dsp", 0, fed=True)
    prove(graph, plan)
    assert 1 <= len(plan.streams) <= 2
    assert all(chain.turns <= 128 for chain in plan.streams)


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
    prove(graph, plan)
    assert plan.nbytes == plan.lower_bound <= 44_000 < plain.nbytes / 3
    assert plan.cost < 1.05 * plain.cost
    plan, _ = plan_within(graph, "dsp", 0, fed=True)
    prove(graph, plan)
    assert plan.nbytes == plan.lower_bound < 40_000
