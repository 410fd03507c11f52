"""The choice of kernels: by cost, and without effect on what is computed."""

from __future__ import annotations

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, for_isa
from tinytrain.errors import InternalError
from tinytrain.isa import ISAS
from tinytrain.kernel.choose import candidates, choose, choose_kernels
from tinytrain.kernel.nodes import call_of
from tinytrain.kernel.table import KERNELS
from tinytrain.kernel.work import Work
from tinytrain.passes.base import Runner

POINTWISE = Work(
    contract="tt_conv2d_s8", in_h=8, in_w=8, in_c=48, out_h=8, out_w=8, out_c=240, segments=(48,)
)


def test_the_cheapest_one_is_chosen_and_the_others_are_named() -> None:
    portable, dsp = (choose(POINTWISE, isa) for isa in ("portable", "dsp"))
    assert portable.kernel == "tt_conv2d_s8" and list(portable.considered) == [portable.kernel]
    assert dsp.kernel == "tt_conv2d_s8_dsp"
    assert dsp.cost == min(dsp.considered.values()) < portable.cost
    assert set(dsp.considered) == {"tt_conv2d_s8", "tt_conv2d_s8_dsp"}


def test_a_kernel_that_does_not_fit_is_not_considered() -> None:
    """Sums of a weight gradient over a map of 256x256 would take too much workspace."""
    large = Work(
        contract="tt_conv2d_s8_grad_weight",
        in_h=256,
        in_w=256,
        in_c=8,
        out_h=256,
        out_w=256,
        out_c=8,
    )
    assert [kernel.isa for kernel in candidates(large, "dsp")] == ["portable"]


def test_unknown_work_is_an_error() -> None:
    with pytest.raises(InternalError, match="tt_fly_s8"):
        choose(Work(contract="tt_fly_s8"), "portable")


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("name", GRAPHS)
def test_workspace_is_planned_for_every_choice(name: str, isa: str) -> None:
    compiled = for_isa(build_step(GRAPHS[name](), Options(), Runner()), isa)
    for node, choice in compiled.plan.choices.items():
        assert (node in compiled.plan.workspaces) == (choice.workspace > 0)
        assert choice.cost > 0


@pytest.mark.parametrize("name", GRAPHS)
def test_what_is_called_is_in_the_table(name: str) -> None:
    """And what is chosen is exactly what has a cost."""
    graph = build_step(GRAPHS[name](), Options(momentum=0.9), Runner()).graph
    calls = {node.name: work for node in graph.nodes if (work := call_of(graph, node))}
    assert {work.contract for work in calls.values()} <= set(KERNELS)
    costed = {name for name, work in calls.items() if KERNELS[work.contract][0].cost is not None}
    assert set(choose_kernels(graph)) == costed < set(calls)
