"""What `compile` accepts the host library runs, and an experiment with it: to the bit."""

from __future__ import annotations

import dataclasses
import hashlib
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.rehearsal import with_set
from tests.support.sessions import reference_engine, run
from tests.support.stems import random_stem
from tests.support.steps import step_of
from tinytrain.compiler.emission import emit_step
from tinytrain.compiler.folder import write_folder
from tinytrain.compiler.options import OPTIONS, Options
from tinytrain.compiler.pipeline import Compiled
from tinytrain.compiler.samples import sample_spec
from tinytrain.data import Dataset
from tinytrain.experiments.engines import step_library
from tinytrain.simulation.library import LibrarySamples
from tinytrain.simulation.stream import SampleStream
from tinytrain.target import load_target

STEPS = 5
REPLAY_STEPS = 2
REHEARSAL_STEPS = 3

ARITHMETIC: tuple[dict[str, Any], ...] = (
    {"momentum": 0.9, "clip_norm": 0.5},
    {"accumulate": 2, "weight_decay": 0.01},
    {"gradient": "s16", "schedule": "cosine:4", "warm_up": 2, "rehearsal_slots": 5},
    {"gradient": "f32", "label_smoothing": 0.1, "class_weights": "balanced"},
    {"update": "nearest", "fraction_bits": 0, "seed": 7, "rate_limit": 0.5},
    {"qas": False, "fraction_bits": 8, "classes": 3},
    {"optimizer": "adam", "momentum": 0.5},
    {"recompute": 0.3, "weight_headroom": 2.0, "range_headroom": 2.0, "learning_rate": 0.02},
)
"""What decides how a step computes; each of them comes with some of the cases below."""

ELSEWHERE = {
    "loss": "the library refuses a regression: tests/simulate/test_library.py",
    "ranges": "decided before the graph is in integers",
    "name": "every graph has one",
    "self_test": "tests/firmware/test_self_test.py",
    "guard": "tests/equality/test_guard.py",
    "keep": "decides the suggested rate: tests/guidance",
    "enrol": "tests/equality/test_enrolment.py",
    "enrol_classes": "tests/equality/test_enrolment.py",
    "pseudo_labels": "tests/equality/test_pseudo.py",
    "follow": "tests/equality/test_follow.py",
    "portions": "tests/equality/test_portions.py",
    "concurrent": "tests/firmware/test_concurrent.py",
    "inference": "tests/simulate/test_inference.py",
    "link": "tests/link/test_boards.py",
    **{name: "tests/equality/test_anomaly.py" for name in OPTIONS if name.startswith("anomaly")},
}
"""Options that no case varies, and why."""


def cases() -> list[Any]:
    """All that decides how a program calls a model, and each arithmetic with some of it."""
    found = []
    replays = ({}, {"replay": 3}, {"replay": 3, "replay_in": "flash"})
    ways = product(("head", "last-2", "full"), replays, ("whole", "rows"), (True, False))
    # The rows of an input are fed to frozen layers.
    held = [way for way in ways if way[0] != "full" or way[2] == "whole"]
    for index, (scheme, replay, feed, health) in enumerate(held):
        options = {"scheme": scheme, "feed": feed, "health": health, **replay}
        options |= ARITHMETIC[index % len(ARITHMETIC)]
        # Every arithmetic once, and every replay with every feed.
        marks = () if index < len(ARITHMETIC) or index in (8, 10) else (pytest.mark.slow,)
        found.append(pytest.param(options, id="-".join(map(str, options.values())), marks=marks))
    return found


def data_of(compiled: Compiled) -> Dataset:
    spec = sample_spec(compiled, None)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4, *spec.shape[1:])).astype(np.float32)
    return Dataset(spec, x, rng.integers(0, spec.classes, 4).astype(np.int32))


def stream_of(compiled: Compiled) -> SampleStream:
    order = np.random.default_rng(1).integers(0, 4, STEPS)
    replay_steps = REPLAY_STEPS if compiled.options.replay else None
    rehearsal_steps = REHEARSAL_STEPS if compiled.rehearsal else None
    return SampleStream(
        data_of(compiled), order, replay_steps=replay_steps, rehearsal_steps=rehearsal_steps
    )


@pytest.mark.parametrize("options", cases())
def test_a_library_learns_what_the_reference_learns(
    options: dict[str, Any], tmp_path: Path
) -> None:
    compiled = step_of(random_stem(5), **options)
    if compiled.options.rehearsal_slots:
        compiled = with_set(compiled, compiled.options.rehearsal_slots)
    stream = stream_of(compiled)
    wanted = run(reference_engine(compiled), stream)
    library = step_library(compiled, tmp_path, optimise="-O0")
    x, y = stream.train.quantized(slice(None)), stream.train.targets(slice(None))
    given = [LibrarySamples(y, x)]
    if library.model.frozen_bytes:
        frozen = np.empty((len(y), library.model.frozen_bytes), np.uint8)
        library.frozen(x, frozen)
        given.append(LibrarySamples(y, None, frozen))
    for samples in given:
        library.init()
        losses, predictions = library.train(
            samples,
            stream.order,
            replay_steps=stream.replay_steps or 0,
            rehearsal_steps=stream.rehearsal_steps or 0,
        )
        assert losses.tobytes() == wanted.losses.tobytes()
        assert tuple(predictions) == wanted.predictions
        assert library.weights_sha256() == hashlib.sha256(wanted.weights).hexdigest()
        saved = library.save()
        library.load(saved)
        assert library.weights_sha256() == hashlib.sha256(wanted.weights).hexdigest()


def test_no_option_is_left_out() -> None:
    walked: dict[str, set[Any]] = {}
    for case in cases():
        for name, value in case.values[0].items():
            walked.setdefault(name, set()).add(value)
    for field in dataclasses.fields(Options):
        others = walked.get(field.name, set()) - {field.default}
        assert others or field.name in ELSEWHERE, f"no case varies '{field.name}'"
        assert not (others and field.name in ELSEWHERE), field.name


@pytest.mark.parametrize("feed", ["whole", "rows"])
def test_a_folder_says_what_emission_says(feed: str, tmp_path: Path) -> None:
    compiled = step_of(random_stem(5), scheme="head", feed=feed, replay=3, replay_in="flash")
    made = write_folder(compiled, tmp_path / "model", target=load_target("host"))
    interface = made.manifest.interface
    assert interface == emit_step(made.compiled).interface
    assert (interface.feed_rows > 0) == (feed == "rows")
    assert interface.replay is not None and interface.replay.in_flash
