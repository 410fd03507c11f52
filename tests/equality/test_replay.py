"""Replay buffers: the same samples kept, drawn and trained on, wherever the slots lie."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.graphs import GRAPHS
from tests.support.replay_sessions import hold
from tests.support.sessions import make_stream, opened, reference_engine, run
from tinytrain.compiler.folder import Product, write_folder
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.passes.base import Runner
from tinytrain.reference.replay import ReplayBuffer
from tinytrain.target import load_target

STEPS = 24
CASES = (
    ("signal", "last-1", "cross_entropy", "ram", 3),
    ("signal", "last-2", "mean_squared_error", "flash", 4),
    ("mixture", "last-2", "cross_entropy", "flash", 5),
    ("mixture", "last-2", "mean_squared_error", "ram", 1),
    ("convolutions", "full", "cross_entropy", "ram", 6),  # nothing is frozen
)


def compiled(graph: str, scheme: str, loss: str, place: str, slots: int, folder: Path) -> Product:
    options = Options(scheme=scheme, loss=loss, seed=11, replay=slots, replay_in=place)
    step = build_step(GRAPHS[graph](), options, Runner())
    return write_folder(step, folder / "model", target=load_target("mps2-an500"))


@pytest.mark.parametrize(
    ("graph", "scheme", "loss", "place", "slots"),
    [pytest.param(*c, marks=[pytest.mark.slow] if c in CASES[2:4] else []) for c in CASES],
)
def test_replay_equals_the_reference(
    graph: str, scheme: str, loss: str, place: str, slots: int, tmp_path: Path
) -> None:
    product = compiled(graph, scheme, loss, place, slots, tmp_path)
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    stream = replace(stream, replay_steps=2)
    once = hold(product, stream)
    never = run(reference_engine(product.compiled), replace(stream, replay_steps=0))
    assert once.weights != never.weights


def test_drifting_streams_are_the_same_everywhere(tmp_path: Path) -> None:
    product = compiled("signal", "last-1", "cross_entropy", "ram", 3, tmp_path)
    stream = make_stream(opened(product), tmp_path / "data.npz", STEPS)
    drifting = replace(stream, replay_steps=1, drifts=True, evaluate_every=9)
    found = hold(product, drifting)
    assert (
        found.weights
        != run(reference_engine(product.compiled), replace(drifting, drifts=False)).weights
    )


def test_a_rare_class_keeps_its_slots() -> None:
    """By counting: a stream with one sample in fifty of a class fills its share of the buffer."""
    buffer = ReplayBuffer(30, 3, seed=4)
    rng = np.random.default_rng(0)
    for label in rng.choice(3, 6000, p=[0.49, 0.49, 0.02]):
        buffer.offer(int(label))
    assert np.bincount(buffer.labels).tolist() == [10, 10, 10]


def test_a_reservoir_keeps_each_sample_with_the_same_probability() -> None:
    """Vitter's: 20 of 200 samples, 2,000 times; the count of each is within 5 deviations of 200."""
    kept = np.zeros(200)
    for seed in range(2000):
        buffer = ReplayBuffer(20, 1, seed)
        slots: dict[int, int] = {}
        for sample in range(200):
            slot = buffer.offer(0)
            if slot is not None:
                slots[slot] = sample
        kept[list(slots.values())] += 1
    assert np.abs(kept - 200).max() < 5 * np.sqrt(200 * 0.9)


def test_every_slot_is_drawn_as_often() -> None:
    buffer = ReplayBuffer(8, 2, seed=1)
    assert buffer.draw_slot() is None
    for label in (0, 1, 1, 0, 1):
        buffer.offer(label)
    drawn = np.bincount([buffer.draw_slot() for _ in range(5000)], minlength=5)
    assert drawn.size == 5
    assert np.abs(drawn - 1000).max() < 5 * np.sqrt(1000 * 0.8)
