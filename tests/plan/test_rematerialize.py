"""Rematerialized parts: the same weights, proved plans, limits that hold."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tests.support.bottlenecks import OPTIONS, bottlenecks
from tests.support.random_networks import OPTIONS as RANDOM_OPTIONS
from tests.support.random_networks import network
from tests.support.steps import inputs_of, step_of
from tinytrain.compiler.compiled import Compiled
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.operations import frozen_count, loss_index, replaced, role_of
from tinytrain.ir.ops import Role
from tinytrain.ir.verify import verify
from tinytrain.isa import ISAS
from tinytrain.plan import rematerialize_search
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.proof.plan import check_plan
from tinytrain.plan.rematerialize import SUFFIX, ForwardPart, parts, rematerialized
from tinytrain.plan.within import plan_within
from tinytrain.reference.interpret import Machine

SEEDS = range(24)


@cache
def step(seed: int) -> Compiled:
    if seed % 2:
        options = RANDOM_OPTIONS[seed // 2 % len(RANDOM_OPTIONS)]
        return step_of(network(seed), seed=seed, **options)
    return step_of(bottlenecks(seed), seed=seed, **OPTIONS[seed // 2 % len(OPTIONS)])


def start_of(graph: Graph) -> int:
    return frozen_count(graph, graph.nodes[: loss_index(graph)])


def apart(found: list[ForwardPart]) -> list[ForwardPart]:
    """As many as share no node, the shortest first."""
    chosen: list[ForwardPart] = []
    for part in sorted(found, key=lambda part: (part.end - part.first, part)):
        if not any(part.meets(other) for other in chosen):
            chosen.append(part)
    return sorted(chosen)


@pytest.mark.parametrize("seed", SEEDS)
def test_rematerialized_parts_give_the_same_weights(seed: int) -> None:
    graph = step(seed).graph
    found = parts(graph, start_of(graph))
    if not found:
        # Not a gap: the test below holds that the others have parts of every kind.
        pytest.skip("no map of this network is handed on alone")
    wanted = trained(graph)
    for chosen in [apart(found), *([part] for part in found)]:
        other = rematerialized(graph, chosen)
        verify(other, after="rematerialize")
        check_plan(plan_memory(other))
        assert trained(other) == wanted


def trained(graph: Graph) -> str:
    """The weights after three steps, as a hash."""
    machine = Machine(graph, rate=0.01, seed=3)
    for turn in range(3):
        machine.run(inputs_of(graph, turn))
    return machine.weights_sha256()


def test_enough_networks_have_parts_with_every_operation() -> None:
    ops: set[str] = set()
    for seed in SEEDS:
        graph = step(seed).graph
        for part in parts(graph, start_of(graph)):
            nodes = rematerialized(graph, [part]).nodes
            ops |= {node.op for node in nodes if node.name.endswith(SUFFIX)}
    assert ops >= {"conv2d", "add", "activation", "clamp_mask", "max_pool2d_winner"}


def test_names_that_are_taken_are_not_given_twice() -> None:
    graph = step(0).graph
    part = max(parts(graph, start_of(graph)), key=lambda part: part.end - part.first)
    twin, name = next(iter(rematerialized(graph, [part]).rematerialized.items()))
    # One that is rematerialized itself, and one that is not.
    other = next(n.name for n in graph.nodes[part.first : part.end] if n.name != name)
    for old in (other, graph.nodes[-1].name):
        nodes = tuple(replace(n, name=twin) if n.name == old else n for n in graph.nodes)
        found = rematerialized(replace(graph, nodes=nodes), [part])
        verify(found, after="rematerialize")
        assert twin not in found.rematerialized
        assert len({node.name for node in found.nodes}) == len(found.nodes)


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_of_rematerialized_parts_are_not_made_before(seed: int) -> None:
    graph = step(seed).graph
    for part in parts(graph, start_of(graph)):
        other = rematerialized(graph, [part])
        forward = {node.name for node in other.nodes[: loss_index(other)]}
        masks = [n for n in graph.nodes[part.first : part.end] if role_of(n) is Role.TRAINING]
        twins = {node.name for node in other.nodes if node.name.endswith(SUFFIX)}
        for mask in masks:
            assert (mask.name in forward) != (mask.name + SUFFIX in twins)


def test_too_late_is_refused() -> None:
    """Rematerialized nodes read parameters before they are updated."""
    refused = 0
    for seed in SEEDS:
        graph = step(seed).graph
        updated = {old for node in graph.nodes for old, _ in replaced(node)}
        for node in graph.nodes[start_of(graph) : loss_index(graph)]:
            if node.op == "conv2d" and not updated.isdisjoint(node.inputs):
                out = Value("late", node.output.type)
                late = replace(node, name="late", outputs=(out,))
                # Behind all updates.
                moved = replace(graph, nodes=(*graph.nodes, late))
                verify(moved, after="moved")
                with pytest.raises(InternalError, match="after its update"):
                    check_plan(plan_memory(moved))
                refused += 1
    assert refused > 20


@pytest.mark.parametrize("isa", ISAS)
@pytest.mark.parametrize("seed", range(0, 12, 2))
def test_with_leave_a_plan_needs_less_and_spends_no_more(seed: int, isa: str) -> None:
    graph = step(seed).graph
    plain = plan_memory(graph, isa)
    without, _ = plan_within(graph, isa, 0)
    for share in (0.05, 1.0):
        plan, optimizations = plan_within(graph, isa, 0, recompute=share)
        check_plan(plan)
        assert plan.lower_bound <= without.lower_bound
        spent = [each.instructions for each in optimizations if each.name == "rematerialization"]
        assert sum(spent) <= share * plain.cost
    # Where there is room nothing runs twice.
    plan, _ = plan_within(graph, isa, plain.nbytes, recompute=1.0)
    assert plan.graph is graph


@cache
def deep() -> Graph:
    return step_of(bottlenecks(3, blocks=8), scheme="full").graph


def test_a_search_keeps_to_its_work(monkeypatch: pytest.MonkeyPatch) -> None:
    worked = []

    def counted(graph: Graph, chosen: tuple[ForwardPart, ...]) -> Graph:
        found = rematerialized(graph, chosen)
        worked.append(len(found.nodes))
        return found

    work = 24 * len(deep().nodes)
    monkeypatch.setattr(rematerialize_search, "_WORK", work)
    monkeypatch.setattr(rematerialize_search, "rematerialized", counted)
    plan, _ = plan_within(deep(), "mve", 0, recompute=1.0)
    check_plan(plan)
    # The last graph may be one that was begun within the limit.
    assert work / 3 < sum(worked[:-1]) <= work
    # Little work finds little, but not nothing.
    assert plan.graph.rematerialized
    assert plan.lower_bound < plan_within(deep(), "mve", 0)[0].lower_bound


def test_of_many_parts_those_remain_that_lie_apart() -> None:
    start = start_of(deep())
    everything = parts(deep(), start)
    some = parts(deep(), start, most=12)
    assert 6 < len(some) <= 12 < len(everything)
    assert set(some) <= set(everything)
    lengths = [[part.end - part.first for part in found] for found in (some, everything)]
    assert max(lengths[0]) == max(lengths[1])
    assert min(lengths[0]) > min(lengths[1])
