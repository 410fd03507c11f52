"""What the manifest says of a plan: true to the plan, complete, and the sums agree."""

from __future__ import annotations

import dataclasses

import pytest

from tests.support.graphs import GRAPHS
from tinytrain.compiler.compiled import Compiled
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.manifest.arena import KINDS, PASSES
from tinytrain.passes.base import Runner
from tinytrain.plan.record import arena_record, layer_records
from tinytrain.plan.speed import CYCLES_PER_INSTRUCTION, speed_record
from tinytrain.target import list_targets, load_target


def step_of(name: str, **options: object) -> Compiled:
    chosen = Options(**{"learning_rate": 0.01, **options})  # type: ignore[arg-type]
    return build_step(GRAPHS[name](), chosen, Runner(), isa="dsp")


@pytest.mark.parametrize("scheme", ["head", "last-1", "full"])
@pytest.mark.parametrize("name", GRAPHS)
def test_storages_and_steps_are_those_of_the_plan(name: str, scheme: str) -> None:
    compiled = step_of(name, scheme=scheme)
    graph, plan = compiled.graph, compiled.plan
    record = arena_record(plan)
    places = {**{value.name: o for value, o in plan.offsets.items()}}
    for found, storage in zip(record.storages, plan.storages, strict=True):
        assert (found.name, found.nbytes) == (storage.name, storage.nbytes)
        assert (found.first, found.last) == (storage.first, storage.last)
        wanted = places[storage.name] if storage.values else plan.workspaces[storage.name]
        assert found.offset == wanted
        assert found.kind in KINDS
        assert found.layer or found.kind == "input"
    for a in record.storages:
        for b in record.storages:
            if a is not b and a.first <= b.last and b.first <= a.last:
                assert a.offset + a.nbytes <= b.offset or b.offset + b.nbytes <= (a.offset)
    steps = record.steps
    assert [step.name for step in steps] == [node.name for node in graph.nodes]
    assert [PASSES.index(step.part) for step in steps] == sorted(
        PASSES.index(step.part) for step in steps
    )
    live = [step.live_bytes for step in steps]
    assert max(live) == live[record.peak_step] == record.lower_bound
    assert steps[record.peak_step].name == record.peak


def test_kinds() -> None:
    compiled = step_of("convolutions")
    record = arena_record(compiled.plan)
    kinds = {storage.name: storage.kind for storage in record.storages}
    loss = next(k for k, step in enumerate(record.steps) if step.part == "loss")
    assert kinds["x"] == "input"
    assert {kind for name, kind in kinds.items() if name.endswith("_mask")} == {"saved"}
    assert set(kinds.values()) == set(KINDS)
    for storage in record.storages:
        if storage.kind == "saved":
            assert storage.first < loss < storage.last
        elif storage.kind == "gradient":
            assert storage.first >= loss
        elif storage.kind == "activation":
            # The loss writes its gradient over what it reads.
            assert storage.first < loss
            assert storage.last <= loss or storage.layer in ("dense_0", "output", "loss")


@pytest.mark.parametrize("name", GRAPHS)
def test_sums_of_layers(name: str) -> None:
    compiled = step_of(name)
    record = arena_record(compiled.plan)
    files = emit_step(compiled)
    layers = layer_records(compiled.graph, record, files.constants)

    def total(key: str) -> int:
        return sum(getattr(layer, key) for layer in layers)

    assert total("trained_bytes") == files.weights_bytes
    saved = [s.nbytes for s in record.storages if s.kind == "saved"]
    assert total("saved_bytes") == sum(saved)
    assert total("constant_bytes") == sum(files.constants.values()) - files.constants.get("", 0)
    assert total("instructions") == speed_record(compiled.plan, load_target("host")).instructions
    constants = compiled.graph.constants.values()
    assert total("constant_bytes") > sum(data.nbytes for data in constants if data.any())
    names = [layer.name for layer in layers]
    assert len(set(names)) == len(names) and "" not in names


def test_seconds_need_a_clock_and_a_known_core() -> None:
    plan = step_of("signal").plan
    board = load_target("stm32f746-disco")
    record = speed_record(plan, board)
    least, most = CYCLES_PER_INSTRUCTION["cortex-m7"]
    assert record.cycles_per_instruction == (least, most)
    assert record.seconds == (
        record.instructions * least / 216e6,
        record.instructions * most / 216e6,
    )
    for unknown in (
        dataclasses.replace(board, clock_hz=None),
        dataclasses.replace(board, core="cortex-m85"),
        load_target("host"),
    ):
        assert speed_record(plan, unknown).seconds is None


def test_every_cortex_m_has_its_cycles() -> None:
    # Of the cores of other families no cycles were estimated: `seconds` is null there.
    cores = {load_target(name).core for name in list_targets()}
    assert {core for core in cores if core.startswith("cortex-m")} == set(CYCLES_PER_INSTRUCTION)
