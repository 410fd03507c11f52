"""Steps in portions on samples that are kept give the bits of the reference, however finely cut."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.graphs import GRAPHS
from tests.support.rehearsal import with_set
from tests.support.replay_sessions import engines_of
from tests.support.sessions import make_stream, opened, reference_engine, run
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step, within
from tinytrain.emit.frozen import frozen_part
from tinytrain.errors import InternalError
from tinytrain.ir.operations import loss_index
from tinytrain.passes.base import Runner
from tinytrain.plan.proof.plan import check_kept
from tinytrain.saved_file import read_saved
from tinytrain.target import load_target

FINEST = 1e-9
STEPS = 12
CASES: dict[str, tuple[str, int, dict[str, Any]]] = {
    "buffer": ("signal", 0, {"scheme": "last-1", "replay": 3}),
    "both": ("signal", 7, {"scheme": "last-2", "replay": 3, "schedule": "cosine:30"}),
    "rehearsal": ("mixture", 5, {"scheme": "last-2", "accumulate": 2, "momentum": 0.9}),
    "flash": (
        "mixture",
        4,
        {"scheme": "last-2", "replay": 4, "replay_in": "flash", "loss": "mean_squared_error"},
    ),
    "nothing frozen": ("convolutions", 6, {"scheme": "full", "replay": 2, "concurrent": True}),
    "rows": ("convolutions", 5, {"scheme": "head", "feed": "rows", "replay": 2}),
    "guard": ("signal", 5, {"scheme": "last-2", "replay": 3, "guard": 2}),
}
LATER = ("buffer", "rehearsal", "flash", "guard", "nothing frozen")


def product_of(name: str, folder: Path) -> Product:
    graph, slots, options = CASES[name]
    chosen = Options(seed=11, portions=FINEST, learning_rate=0.01, **options)
    target = load_target("mps2-an500")
    step = build_step(GRAPHS[graph](), chosen, Runner(), isa=target.isa)
    return write_folder(with_set(step, slots) if slots else step, folder / "model", target=target)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] if name in LATER else []) for name in CASES],
)
def test_they_equal_the_reference(name: str, tmp_path: Path) -> None:
    """A step on a new sample, which is offered to the buffer, then one on each kind of kept one."""
    product = product_of(name, tmp_path)
    _, slots, options = CASES[name]
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    stream = replace(
        stream,
        replay_steps=2 if "replay" in options else None,
        rehearsal_steps=1 if slots else None,
    )
    wanted = run(reference_engine(product.compiled), stream)
    assert wanted.saved is not None
    for engine_name, engine in engines_of(product).items():
        found = run(engine, stream)
        assert found.losses.tobytes() == wanted.losses.tobytes(), engine_name
        assert found.weights == wanted.weights, engine_name
        assert found.health == wanted.health, engine_name
        assert found.after.predictions == wanted.after.predictions, engine_name
        assert found.saved is not None
        saved = read_saved(found.saved)
        assert saved.weights + saved.state == wanted.saved, engine_name
        # What the slots themselves hold lies behind the bookkeeping.
        assert saved.samples.startswith(wanted.samples), engine_name
    never = run(
        reference_engine(product.compiled),
        replace(
            stream,
            replay_steps=0 if "replay" in options else None,
            rehearsal_steps=0 if slots else None,
        ),
    )
    assert wanted.weights != never.weights


def test_the_longest_portion_may_be_the_one_that_keeps_a_sample() -> None:
    found = {}
    for slots in (2, 4000):
        options = Options(portions=FINEST, learning_rate=0.01, scheme="last-1", replay=slots)
        record = emit_step(build_step(GRAPHS["signal"](), options, Runner())).portions
        assert record is not None
        found[slots] = record
    assert found[2].worst_node != "a kept sample" == found[4000].worst_node
    assert 0 < found[2].kept < found[2].instructions
    assert found[4000].kept > found[4000].worst > found[2].worst
    assert "a step on a kept sample, about" in found[2].sentence()


def test_the_proof_finds_what_a_kept_sample_lacks() -> None:
    step = within(build_step(GRAPHS["mixture"](), Options(scheme="last-2"), Runner()), 0)
    graph, plan = step.plan.graph, step.plan
    part = frozen_part(graph, plan, graph.nodes[: loss_index(graph)])
    check_kept(plan, part.nodes, part.spans)
    assert part.nodes > 0 and part.spans
    for k, (offset, size) in enumerate(part.spans):
        for span in ((offset, size - 1), (offset + 1, size - 1)):
            fewer = [*part.spans[:k], span, *part.spans[k + 1 :]]
            with pytest.raises(InternalError, match="part of which is overwritten"):
                check_kept(plan, part.nodes, fewer)
        with pytest.raises(InternalError, match=r"what is kept at \d+ lies outside the arena"):
            check_kept(plan, part.nodes, [(plan.nbytes - size + 1, size)])
    with pytest.raises(InternalError, match="part of which is overwritten"):
        check_kept(plan, 0, ())
