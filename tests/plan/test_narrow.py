"""Narrow workspace: variants of kernels, limits, and the least that they bring."""

from __future__ import annotations

import itertools

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.ir.graph import Graph
from tinytrain.isa import ISAS
from tinytrain.kernel.choose import choose, narrower
from tinytrain.kernel.table import KERNELS
from tinytrain.kernel.work import Work
from tinytrain.passes.base import Runner
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.narrow import narrowed
from tinytrain.plan.proof.plan import check_plan

GRADIENT = Work(
    contract="tt_conv2d_s8_grad_input",
    in_h=4,
    in_w=4,
    in_c=96,
    out_h=4,
    out_w=4,
    out_c=576,
    segments=(96,),
)


def step(name: str) -> Graph:
    return build_step(GRAPHS[name](), Options(learning_rate=0.01), Runner()).graph


@pytest.mark.parametrize("isa", ISAS)
def test_less_scratch_takes_more_instructions(isa: str) -> None:
    found = [choose(GRADIENT, isa), *narrower(GRADIENT, isa)]
    assert len(found) > 2
    for more, less in itertools.pairwise(found):
        assert less.workspace < more.workspace and less.cost >= more.cost


def test_variants_of_every_kernel_are_in_order() -> None:
    for kernels in KERNELS.values():
        for kernel in kernels:
            if kernel.narrow(GRADIENT):
                sizes = [variant.workspace for variant in kernel.variants(GRADIENT)]
                assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)


@pytest.mark.parametrize("isa", ISAS)
def test_a_limit_holds_where_a_kernel_can_hold_it(isa: str) -> None:
    least = narrower(GRADIENT, isa)[-1]
    assert choose(GRADIENT, isa, 0).workspace == least.workspace
    for limit in range(least.workspace, 24_000, 1000):
        choice = choose(GRADIENT, isa, limit)
        assert choice.workspace <= limit
        assert choice.cost <= least.cost
    unlimited = choose(GRADIENT, isa)
    assert choose(GRADIENT, isa, unlimited.workspace).cost == unlimited.cost


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", GRAPHS)
def test_limits_bring_what_they_promise(name: str, isa: str) -> None:
    graph = step(name)
    plain = plan_memory(graph, isa)
    least = narrowed(graph, isa)
    plan = plan_memory(graph, isa, least.limits)
    assert plan.lower_bound == least.bound <= plain.lower_bound
    check_plan(plan)
    cost = sum(choice.cost for choice in plan.choices.values())
    assert cost == least.cost
    # What fits already stays as it is; what lies between costs no more than the least.
    assert not narrowed(graph, isa, plain.lower_bound).limits
    between = (least.bound + plain.lower_bound) // 2
    middle = narrowed(graph, isa, between)
    assert middle.bound <= max(between, least.bound)
    assert middle.cost <= least.cost
