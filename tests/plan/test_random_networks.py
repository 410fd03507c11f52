"""Random networks with branches: valid plans, broken ones refused, C equal to the reference."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.random_networks import SEEDS, step
from tests.support.sessions import agree, make_stream, opened
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.pipeline import for_isa
from tinytrain.errors import InternalError
from tinytrain.isa import ISAS
from tinytrain.plan.proof.plan import check_plan
from tinytrain.simulation.host import HostEngine
from tinytrain.target import load_target


@pytest.mark.parametrize("seed", SEEDS)
def test_plans_are_valid_and_meet_their_bound(seed: int) -> None:
    for isa in ISAS:
        compiled = for_isa(step(seed), isa)
        check_plan(compiled.plan)
        # A gap that is proved would be in order too; none of these networks has one.
        assert compiled.plan.gap == 0, compiled.plan.placement
        assert compiled.plan.placement.startswith("bound met")


@pytest.mark.parametrize("seed", SEEDS)
def test_one_byte_shared_with_what_is_live_is_refused(seed: int) -> None:
    compiled = step(seed)
    plan, rng = compiled.plan, random.Random(seed)
    pairs = [
        (a, b)
        for a in plan.storages
        for b in plan.storages
        # Begun and ended while the other is live and not yet read for the last time.
        if a is not b and a.values and a.first < b.first and b.last < a.last
    ]
    assert pairs
    for a, b in rng.sample(pairs, min(len(pairs), 12)):
        (at,) = {plan.offsets[value] for value in a.values}
        size = min(value.type.nbytes for value in b.values) if b.values else b.nbytes
        choices = (at + min(v.type.nbytes for v in a.values) - 1, at - size + 1)
        inside = [place for place in choices if 0 <= place <= plan.nbytes - b.nbytes]
        if not inside:
            continue
        where = rng.choice(inside)
        with pytest.raises(InternalError):
            if b.values:
                offsets = {**plan.offsets, **dict.fromkeys(b.values, where)}
                check_plan(replace(plan, offsets=offsets))
            else:
                check_plan(replace(plan, workspaces={**plan.workspaces, b.name: where}))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_node_before_what_it_reads_is_refused(seed: int) -> None:
    compiled = step(seed)
    nodes, rng = list(compiled.graph.nodes), random.Random(seed)
    writers = {value: k for k, node in enumerate(nodes) for value in node.outputs}
    pairs = [
        (writers[value], k)
        for k, node in enumerate(nodes)
        for value in node.inputs
        if value in compiled.plan.offsets and value in writers
    ]
    for writer, reader in rng.sample(pairs, min(len(pairs), 12)):
        order = list(nodes)
        order.insert(writer, order.pop(reader))
        with pytest.raises(InternalError):
            graph = replace(compiled.graph, nodes=tuple(order))
            check_plan(replace(compiled.plan, graph=graph))


@pytest.mark.parametrize("seed", [2, 4])
def test_generated_c_equals_the_reference(seed: int, tmp_path: Path) -> None:
    product = write_folder(step(seed), tmp_path / "model", target=load_target("host"))
    stream = make_stream(opened(product), tmp_path / "data.npz", 4)
    agree(product, HostEngine(opened(product), optimise="-O0", variant="plain"), stream)
