"""Planning of deep networks: work grows with the network, and its limits are counted in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bottlenecks import bottlenecks
from tests.support.deep_networks import residual_forward, residual_step
from tests.support.random_networks import network
from tests.support.steps import step_of
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.plan import channel_tiling_search, line_buffer_search, order, place
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.channel_tiling import TILE_COUNTS
from tinytrain.plan.line_buffer_search import Stem
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.within import plan_within


def test_chains_of_a_deep_stem_are_bounded_by_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(line_buffer_search, "_WORK", 1000)
    layers = []
    for blocks in (8, 16):
        forward = residual_forward(tmp_path, blocks)
        graph = build_step(forward, Options(scheme="head"), Runner()).graph
        stem = Stem(graph, plan_memory(graph).choices, "portable")
        held = [one for segments in stem._segments for one in segments if one.chain is not None]
        layers.append(sum(one.last - one.first + 1 for one in held))
        assert (
            max(one.last - one.first + 1 for one in held) <= max((1000 // stem.end) ** 0.5, 8) + 1
        )
        plan, _ = plan_within(graph, "portable", 0)
        check_plan(plan)
        assert plan.unfinished == ("line buffering",)
    assert layers[1] <= 2.2 * layers[0]


def test_a_shallow_stem_is_searched_whole() -> None:
    graph = step_of(bottlenecks(0), scheme="head").graph
    plan, _ = plan_within(graph, "portable", 0)
    assert plan.unfinished == ()


def test_first_fit_has_fewer_tries_where_each_takes_longer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph, tries = residual_step(tmp_path, 2), []
    plain = place._FirstFit.place

    def counted(self, order, most=None):
        tries.append(len(order))
        return plain(self, order, most)

    monkeypatch.setattr(place._FirstFit, "place", counted)
    items = plan_memory(graph).storages
    for meetings, most in ((0, 4), (10**9, 404)):
        monkeypatch.setattr(place, "_MEETINGS", meetings)
        tries.clear()
        place._first_fit(items, 0)
        assert len(tries) == most


def test_the_solver_is_not_asked_for_more_than_it_can(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = plan_memory(residual_step(tmp_path, 2)).storages
    monkeypatch.setattr(place, "_IN_SECTIONS", 0)
    monkeypatch.setattr(place, "_run_solver", lambda *_, **__: pytest.fail("it was"))
    assert place.place(items, 0).proof == "best found"


def test_a_narrow_beam_finds_a_valid_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "_WORK", 1)
    monkeypatch.setattr(order, "_LEAST_WIDTH", 1)
    for seed in range(3):
        check_plan(step_of(network(seed)).plan)


def test_tilings_of_all_runs_are_worked_out_together(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    plain = channel_tiling_search.NodeNeeds

    def counted(*given):
        made[-1] += 1
        return plain(*given)

    monkeypatch.setattr(channel_tiling_search, "NodeNeeds", counted)
    for blocks in (3, 6):
        made.append(0)
        channel_tiling_search.fitted(step_of(bottlenecks(1, blocks)).graph, "portable", 0, 0)
    assert max(made) <= 1 + len(TILE_COUNTS) + 2


@pytest.mark.slow
def test_a_graph_of_five_thousand_nodes_is_planned_and_proved(tmp_path: Path) -> None:
    forward = residual_forward(tmp_path, 360)
    compiled = build_step(forward, Options(), Runner())
    assert len(compiled.graph.nodes) >= 5000
