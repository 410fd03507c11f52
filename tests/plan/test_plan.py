"""Plans: minimal on the test graphs, proved by the checker, true in real bytes."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.graphs import FULL, GRAPHS, Net
from tests.support.steps import inputs_of, plain_step, step_of
from tinytrain.compiler.compiled import Compiled
from tinytrain.errors import InternalError
from tinytrain.ir.graph import Graph, Value
from tinytrain.ir.types import DType
from tinytrain.plan.arena import plan_memory
from tinytrain.plan.proof.arena_bytes import ArenaBytes
from tinytrain.plan.proof.plan import check_plan
from tinytrain.reference.interpret import Machine


def run_in_arena(compiled: Compiled, inputs: dict[str, np.ndarray]) -> Machine:
    """One step whose values live at their offsets in one array of bytes, workspace being noise."""
    graph, plan = compiled.graph, compiled.plan
    rng = np.random.default_rng(9)
    arena = rng.integers(0, 256, plan.nbytes).astype(np.uint8)
    machine = Machine(graph, rate=0.01)
    for name, scale in compiled.scales.items():
        machine.scales[name] = replace(scale)
    outside: dict[Value, np.ndarray] = {**graph.constants, **machine.parameters}

    def store(value: Value, data: np.ndarray) -> None:
        if value not in plan.offsets:
            outside[value] = data
            return
        start = plan.offsets[value]
        arena[start : start + value.type.nbytes] = np.frombuffer(
            np.ascontiguousarray(data).tobytes(), np.uint8
        )

    def load(value: Value) -> np.ndarray:
        if value not in plan.offsets:
            return outside[value]
        start = plan.offsets[value]
        raw = arena[start : start + value.type.nbytes].tobytes()
        data = np.frombuffer(raw, value.type.dtype.numpy)
        return data if value.type.dtype is DType.BIT else data.reshape(value.type.shape)

    for value in graph.inputs:
        store(value, inputs[value.name])
    for node in graph.nodes:
        if node.name in plan.workspaces:
            start = plan.workspaces[node.name]
            size = plan.workspace_sizes[node.name]
            arena[start : start + size] = rng.integers(0, 256, size)
        results = machine.evaluate(node, [load(value) for value in node.inputs])
        for value, data in zip(node.outputs, results, strict=True):
            store(value, data)
    for parameter, value in graph.updates.items():
        machine.parameters[parameter] = load(value)
    return machine


@pytest.mark.parametrize("gradient", ["s8", "s16", "f32"])
@pytest.mark.parametrize("name", GRAPHS)
def test_plans_reach_the_lower_bound(name: str, gradient: str) -> None:
    plan = step_of(GRAPHS[name](), gradient=gradient).plan
    assert plan.nbytes == plan.lower_bound


def test_velocities_are_parameters_and_their_factor_lies_in_the_arena() -> None:
    compiled = step_of(GRAPHS["mixture"](), momentum=0.5, clip_norm=1.0)
    check_plan(compiled.plan)
    factors = [value for value in compiled.plan.offsets if value.name == "clip_factor"]
    assert [value.type.nbytes for value in factors] == [4]
    graph = compiled.graph
    weights = [value for value in graph.parameters if value.name.endswith("_velocity")]
    assert weights and not any(value in compiled.plan.offsets for value in weights)
    inputs = inputs_of(graph)
    found, wanted = run_in_arena(compiled, inputs), plain_step(compiled, inputs)
    assert found.weights_sha256() == wanted.weights_sha256()
    applied = [node for node in graph.nodes if node.op.startswith("apply_")]
    early = [*applied, *(node for node in graph.nodes if node not in applied)]
    with pytest.raises(InternalError):
        check_plan(replace(compiled.plan, graph=replace(graph, nodes=tuple(early))))


@pytest.mark.parametrize("gradient", ["s8", "s16", "f32"])
@pytest.mark.parametrize("name", GRAPHS)
def test_a_step_in_the_arena_equals_a_step_without(name: str, gradient: str) -> None:
    compiled = step_of(GRAPHS[name](), gradient=gradient)
    inputs = inputs_of(compiled.graph)
    assert (
        run_in_arena(compiled, inputs).weights_bytes()
        == plain_step(compiled, inputs).weights_bytes()
    )


@st.composite
def networks(draw: st.DrawFn) -> Graph:
    """Random residual networks of random widths, kernels, groups and pools."""
    seed = draw(st.integers(0, 10_000))
    net = Net((1, draw(st.integers(3, 9)), draw(st.integers(3, 9)), draw(st.integers(1, 5))), seed)
    values = [net.conv(net.x, draw(st.integers(2, 9)), clamp="relu")]
    for _ in range(draw(st.integers(1, 6))):
        x = draw(st.sampled_from(values))
        kind = draw(st.sampled_from(["conv", "depthwise", "add", "pool", "activation", "multiply"]))
        width = x.type.shape[3]
        if kind == "conv":
            values.append(
                net.conv(x, draw(st.integers(1, 9)), clamp=draw(st.sampled_from(["relu", FULL])))
            )
        elif kind == "depthwise":
            values.append(net.conv(x, width, groups=width))
        elif kind == "add":
            values.append(net.add(x, net.conv(x, width, kernel=(1, 1), padding=(0, 0, 0, 0))))
        elif kind == "pool":
            values.append(net.pool("max_pool2d", x, (2, 2), (1, 1), (1, 1, 0, 0)))
        elif kind == "activation":
            values.append(net.activation(x, draw(st.sampled_from(["hard_swish", "relu6", "tanh"]))))
        else:
            values.append(net.multiply(x, x))
    last = values[-1]
    other = next((v for v in values[:-1] if v.type.shape == last.type.shape), None)
    if other is not None:
        last = net.add(last, other)
    return net.finish(net.dense(net.flat(last), 3))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    graph=networks(),
    gradient=st.sampled_from(["s8", "s16", "f32"]),
    bits=st.sampled_from([0, 2, 4, 8]),
)
def test_random_networks_hold_in_their_arena(graph: Graph, gradient: str, bits: int) -> None:
    compiled = step_of(graph, gradient=gradient, fraction_bits=bits)
    inputs = inputs_of(compiled.graph)
    assert (
        run_in_arena(compiled, inputs).weights_bytes()
        == plain_step(compiled, inputs).weights_bytes()
    )


def test_checker_refuses_overlap_of_live_values() -> None:
    """Every pair of storages that are live together, put at one place, must be noticed."""
    compiled = step_of(GRAPHS["convolutions"]())
    plan, generator = compiled.plan, random.Random(1)
    placed = [s for s in plan.storages if s.values]
    pairs = [
        (a, b)
        for a in placed
        for b in placed
        # Strictly inside: where one ends and the other begins, an operation may be allowed in
        # place.
        if a is not b and a.first < b.first < a.last
    ]
    for a, b in generator.sample(pairs, 40):
        offsets = dict(plan.offsets)
        for value in b.values:
            offsets[value] = plan.offsets[a.values[0]]
        with pytest.raises(InternalError):
            check_plan(replace(plan, offsets=offsets))


def test_checker_refuses_a_place_outside() -> None:
    compiled = step_of(GRAPHS["signal"]())
    with pytest.raises(InternalError, match="outside"):
        check_plan(replace(compiled.plan, nbytes=compiled.plan.nbytes - 8))


def test_checker_refuses_a_read_after_the_update() -> None:
    """A layer's weight gradient before its input gradient, which reads the old weights."""
    compiled = step_of(GRAPHS["signal"]())
    nodes = list(compiled.graph.nodes)
    reader = next(k for k, node in enumerate(nodes) if node.op == "conv2d_grad_input")
    writer = next(
        k
        for k, node in enumerate(nodes)
        if node.op == "conv2d_grad_weight_sgd" and node.layer == nodes[reader].layer
    )
    assert writer > reader
    nodes.insert(reader, nodes.pop(writer))
    graph = replace(compiled.graph, nodes=tuple(nodes))
    plan = plan_memory(graph)
    with pytest.raises(InternalError, match="after its update"):
        check_plan(plan)


def test_checker_refuses_scratch_without_a_place() -> None:
    plan = step_of(GRAPHS["convolutions"]()).plan
    assert plan.workspaces
    for name in plan.workspaces:
        others = {other: start for other, start in plan.workspaces.items() if other != name}
        with pytest.raises(InternalError, match=f"the workspace of {name} has no place"):
            check_plan(replace(plan, workspaces=others))


def test_a_content_is_taken_for_no_other() -> None:
    """More contents than any arithmetic on indices would keep apart."""
    plan = replace(step_of(GRAPHS["signal"]()).plan, nbytes=8)
    memory, area = ArenaBytes(plan), range(8)
    keys = [(kind, k) for kind in ("row", "tile") for k in range(5000)]
    for key, following in zip(keys, [*keys[1:], keys[0]], strict=True):
        memory.fill(area, key)
        assert memory.holds(area, key) and not memory.holds(area, following)
    memory.clear(range(7, 8))
    assert not memory.holds(area, keys[-1]) and memory.holds(range(7), keys[-1])
