"""Depthwise layers that write over their input: where kernels allow it, and nowhere else."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.support.graphs import Net
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, for_isa
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Node
from tinytrain.isa import ISAS
from tinytrain.kernel.choose import choose
from tinytrain.kernel.work import Work
from tinytrain.passes.base import Runner
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.proof.plan import check_plan

SAME = {
    "in_c": 32,
    "out_c": 32,
    "groups": 32,
    "count": 32,
    "kernel_h": 5,
    "kernel_w": 5,
    "pad_top": 2,
    "pad_left": 2,
}


def work(contract: str, size: int, **changes: int) -> Work:
    extents = {"in_h": size, "in_w": size, "out_h": size, "out_w": size}
    return Work(contract=contract, **{**SAME, **extents, **changes})


@pytest.mark.parametrize("isa", ISAS)
def test_kernels_allow_it_on_maps_of_one_shape(isa: str) -> None:
    forward, gradient = "tt_depthwise_conv2d_s8", "tt_depthwise_conv2d_s8_grad_input"
    for size in (1, 4, 8, 16):
        # Woven strips of a map of 16x16 under 5x5 do not fit into the workspace of an MVE kernel.
        assert choose(work(forward, size), isa).in_place == (isa != "mve" or size < 16)
        assert choose(work(gradient, size), isa).in_place
    assert choose(work(forward, 40), isa).in_place == (isa != "mve")
    # Sums of one channel would take more than 5 KB in the portable kernel.
    assert choose(work(gradient, 32), isa).in_place
    assert not choose(work(gradient, 34), isa).in_place
    for contract in (forward, gradient):
        assert not choose(work(contract, 8, out_h=4, out_w=4, stride_h=2, stride_w=2), isa).in_place
        assert not choose(work(contract, 8, out_c=64, count=64), isa).in_place
        assert not choose(work(contract, 8, out_h=7), isa).in_place
    # Its first window lies above the map: rows are read after those that they become.
    assert not choose(work(forward, 40, pad_top=5), isa).in_place


def network(stride: int = 1) -> Graph:
    """The map between the depthwise layers dies where it is read: all is frozen up to there."""
    net = Net((1, 8, 8, 4), 3)
    x = net.conv(net.x, 12, clamp="relu")
    x = net.conv(x, 12, groups=12, strides=(stride, stride), clamp="relu")
    x = net.conv(x, 12, groups=12, clamp="relu")
    x = net.conv(x, 6, clamp="relu")
    return net.finish(net.dense(net.flat(x), 3))


def compiled(isa: str, stride: int = 1) -> Compiled:
    options = Options(learning_rate=0.01, scheme="bias")
    return for_isa(build_step(network(stride), options, Runner()), isa)


def depthwise(step: Compiled) -> list[Node]:
    return [
        node
        for node in step.graph.nodes
        if node.op in ("conv2d", "conv2d_grad_input") and node.attrs["groups"] == 12
    ]


@pytest.mark.parametrize("isa", ISAS)
def test_layers_reuse_the_storage_of_their_input(isa: str) -> None:
    step = compiled(isa)
    nodes = depthwise(step)
    assert {node.op for node in nodes} == {"conv2d", "conv2d_grad_input"}
    offsets = step.plan.offsets
    shared = [node for node in nodes if offsets[node.inputs[0]] == offsets[node.output]]
    assert {node.op for node in shared} == {"conv2d", "conv2d_grad_input"}


@pytest.mark.parametrize("isa", ISAS)
def test_checker_permits_it_by_the_kernel_alone(isa: str) -> None:
    step = compiled(isa)
    check_plan(step.plan)
    with pytest.raises(InternalError, match="over its input"):
        check_plan(replace(step.plan, choices={}))


def test_checker_refuses_it_where_strides_part_input_and_output() -> None:
    step = compiled("dsp", stride=2)
    parted = next(node for node in depthwise(step) if node.attrs["strides"] == (2, 2))
    offsets = {**step.plan.offsets, parted.output: step.plan.offsets[parted.inputs[0]]}
    with pytest.raises(InternalError):
        check_plan(replace(step.plan, offsets=offsets))


def test_checker_refuses_it_where_the_input_is_read_again() -> None:
    """The last layer's input stays for its weight gradient, whatever its kernel allows."""
    graph = build_step(network(), Options(learning_rate=0.01), Runner()).graph
    plan = plan_memory(graph, "dsp")
    node = next(n for n in graph.nodes if n.op == "conv2d" and n.attrs["groups"] == 12)
    assert plan.offsets[node.inputs[0]] != plan.offsets[node.output]
    offsets = {**plan.offsets, node.output: plan.offsets[node.inputs[0]]}
    with pytest.raises(InternalError):
        check_plan(replace(plan, offsets=offsets))
