"""`--learning-rate race`: what runs is what ships, what wins is no worse than chance allows."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from examples.digits import data
from examples.digits.story import MODEL
from tests.support.graphs import GRAPHS
from tinytrain.cli import main
from tinytrain.compiler import race
from tinytrain.compiler.compile import compile_model
from tinytrain.compiler.options import Options
from tinytrain.compiler.pipeline import build_step
from tinytrain.compiler.race import Entrant
from tinytrain.compiler.race_samples import Heat, RaceSamples, split_by_class
from tinytrain.errors import DataError, ToolchainError, UsageError
from tinytrain.manifest.rates import RaceRecord
from tinytrain.passes.base import Runner
from tinytrain.simulation.library import LibrarySamples
from tinytrain.simulation.stream import training_order
from tinytrain.target import load_target


def raced(output: Path, **options: object) -> tuple[RaceRecord, dict]:
    """The record of a race of the head of the digits, and the whole manifest."""
    chosen = {"scheme": "head", **options}
    product = compile_model(MODEL, output=output, learning_rate="race", **chosen)
    manifest = product.manifest
    assert manifest.race is not None
    won = manifest.race.variants[manifest.race.winner]
    assert manifest.learning_rate == manifest.options["rate"] == won.learning_rate
    assert manifest.options["schedule"] == won.schedule
    return manifest.race, json.loads((output / "manifest.json").read_text(encoding="utf-8"))


def test_a_fresh_head_races_on_the_samples_as_they_are(learn: Path, tmp_path: Path) -> None:
    found, manifest = raced(tmp_path / "out", calibration=learn, classes=10)
    again, same = raced(tmp_path / "again", calibration=learn, classes=10)
    assert (found, manifest) == (again, same)
    assert not found.changed and found.old_before is None
    assert found.learned + found.judged == len(data.as_it_is_now(data.ADAPT).y)
    limit = manifest["guidance"]["rate_limit"]
    rates = sorted({one.learning_rate for one in found.variants})
    assert all(limit / 100 <= rate <= limit for rate in rates)
    assert manifest["guidance"]["suggested_rate"] in rates
    assert {one.schedule for one in found.variants} == {"constant", "settle"}
    assert {one.seeds for one in found.variants} == {1, 3}
    won = found.variants[found.winner]
    best = max(one.new for one in found.variants if one.new is not None and one.seeds == 3)
    assert won.seeds == 3 and won.new is not None and found.new_before is not None
    assert best - 0.05 < won.new > found.new_before + 0.3


def test_a_head_that_stays_races_on_changed_samples(
    samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = [str(MODEL), "--calibration", str(samples), "--scheme", "head", "--keep", "old"]
    given += ["--learning-rate", "race", "--schedule", "cosine:300"]
    assert main(["compile", *given, "-o", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr()
    assert re.search(r"^race 1/\d+ [0-9.e-]+, cosine:300$", shown.err, re.MULTILINE)
    assert "with cosine:300 won among" in " ".join(shown.out.split())
    held = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    found = held["race"]
    assert found["changed"] and found["keep"] == "old" and found["measure"] == "accuracy"
    assert found["old_before"] > 0.9 and found["new_before"] <= 0.75 * found["old_before"]
    won = found["variants"][found["winner"]]
    assert (won["new"] + won["old"]) / 2 > (found["new_before"] + found["old_before"]) / 2


def test_a_regression_races_by_its_loss(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(12, 4), nn.ReLU(), nn.Linear(4, 12)).eval()
    x = np.random.RandomState(0).normal(size=(80, 12)).astype(np.float32)
    product = compile_model(
        network,
        torch.zeros(1, 12),
        output=tmp_path / "out",
        calibration=x,
        scheme="head",
        loss="mean_squared_error",
        learning_rate="race",
    )
    found = product.manifest.race
    assert found is not None and found.measure == "loss" and found.changed
    won = found.variants[found.winner].new
    assert won is not None and found.new_before is not None and won < found.new_before


def test_a_run_is_the_training_of_the_firmware_with_that_rate_and_schedule() -> None:
    options = {"scheme": "last-2", "warm_up": 5, "accumulate": 2, "momentum": 0.5, "seed": 4}
    variant = Entrant(0.02, "settle:7:0.25")

    def step(**more: object) -> race.Compiled:
        return build_step(GRAPHS["convolutions"](), Options(**options, **more), Runner())

    entered = step(learning_rate="race", schedule="settle")
    shipped = step(learning_rate=variant.rate, schedule=variant.schedule)
    library = race.library_of(entered)
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (20, library.model.input_size)).astype(np.int8)
    y = rng.integers(0, library.model.classes, 20).astype(np.int32)
    samples = LibrarySamples(y, x)
    course = race.Course(
        entered, library, RaceSamples((Heat(samples, samples, np.arange(20)),), changed=False)
    )
    course.run(variant, 1)
    own = race.library_of(shipped, plain=False)
    own.train(samples, training_order(len(y), course.steps, 1))
    assert library.weights_sha256() == own.weights_sha256()


@pytest.mark.parametrize(
    ("ahead", "winner"),
    [
        ([0.0] * 40, 1),  # as good as the best, and nearer to the suggestion
        ([1.0] * 5 + [0.0] * 35, 0),  # five of forty more: 2.4 standard errors
        ([1.0] * 3 + [0.0] * 37, 1),  # three of forty more: 1.8
        ([1.0] * 3 + [-1.0] * 2 + [0.0] * 35, 1),  # one of forty more: less than one
    ],
)
def test_chance_does_not_decide(ahead: list[float], winner: int) -> None:
    compiled = build_step(GRAPHS["signal"](), Options(scheme="head"), Runner())
    base = np.zeros(40)
    lanes = []
    for rate, marks in ((compiled.rate / 10, base + ahead), (compiled.rate, base)):
        lanes.append(race.Lane(Entrant(rate, "constant"), [marks] * 3, [np.empty(0)] * 3))
    assert race.winner_of(lanes, compiled) is lanes[winner]


def test_one_run_does_not_put_the_suggestion_out() -> None:
    compiled = build_step(GRAPHS["signal"](), Options(scheme="head"), Runner())
    lanes = [
        race.Lane(Entrant(compiled.rate * factor, schedule), [np.full(40, score)], [np.empty(0)])
        for schedule in ("settle", "constant")
        for factor, score in ((0.01, 0.5), (0.1, 1.0), (1.0, 0.0))
    ]
    found = race.finalists_of(lanes, compiled)
    assert {lanes.index(lane) for lane in found} == {0, 1, 2, 4, 5}


def test_each_order_is_judged_by_other_samples() -> None:
    labels = np.repeat(np.arange(3), (9, 40, 11))
    parts = [split_by_class(labels, heat) for heat in range(len(race.SEEDS))]
    for learn, judge in parts:
        assert sorted([*learn, *judge]) == list(range(60)) and list(learn) == sorted(learn)
        assert np.bincount(labels[judge]).tolist() == [2, 10, 2]
    assert len(np.unique(np.concatenate([judge for _, judge in parts]))) == 3 * 14


def refused(kind: type[Exception], output: Path, **options: object) -> str:
    with pytest.raises(kind) as caught:
        compile_model(MODEL, output=output, learning_rate="race", scheme="head", **options)
    assert not output.exists()
    return str(caught.value)


def test_what_cannot_race(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    with np.load(samples) as held:
        x, y = held["x"], held["y"]
    assert refused(DataError, out, calibration=x) == (
        "a race of learning rates cannot learn from the calibration samples: there is no y\n"
        "  at: y\n"
        "  help: give calibration='F.npz' with x and y, or leave out learning_rate='race'"
    )
    assert refused(DataError, out, calibration=(x[:63], y[:63])) == (
        "a race of learning rates needs 64 labelled samples or more, got 63\n"
        "  at: the calibration samples\n"
        "  help: give more, or leave out learning_rate='race'"
    )
    assert refused(DataError, out, calibration=(x, (y + 1) % 10), keep="old").startswith(
        "a race with keep='old' needs samples of the old task, and the model is right on only "
    )
    host = dataclasses.replace(load_target("host"), compiler="no-such-cc")
    monkeypatch.setattr("tinytrain.simulation.library_build.load_target", lambda name: host)
    told = refused(ToolchainError, out, calibration=samples)
    assert told.startswith(
        "a race of learning rates runs on this machine, where the command 'no-such-cc' is not "
        "installed\n"
    )
    assert told.endswith("or leave out learning_rate='race'")


def test_a_model_that_came_quantized_has_nothing_to_race_on(tmp_path: Path) -> None:
    from tests.support.paths import SHARED_MODELS

    model = SHARED_MODELS / "resnet8_int8.tflite"
    if not model.is_file():
        pytest.skip("../shared/models is missing")
    with pytest.raises(UsageError, match="there are no calibration samples"):
        compile_model(model, output=tmp_path / "out", scheme="head", learning_rate="race")
