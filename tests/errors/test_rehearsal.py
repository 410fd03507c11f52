"""Rehearsal sets that cannot be, each with its way out."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_models import CLASSES, SHAPE
from tests.support.refusals import Refuse
from tinytrain.cli import main
from tinytrain.compiler.compile import compile_model

USAGE_ERROR, DATA_ERROR, BUDGET_ERROR = 2, 4, 6


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labelled samples, many of them."""
    path = tmp_path_factory.mktemp("many") / "old.npz"
    x = np.random.default_rng(0).standard_normal((400, *SHAPE[1:])).astype(np.float32)
    np.savez(path, x=x, y=np.arange(400) % CLASSES)
    return path


def test_there_is_nothing_to_fill_it_with(
    model: Path, samples: Path, refuse: Refuse, tmp_path: Path
) -> None:
    ask = ("compile", model, "-o", tmp_path / "out", "--rehearsal-slots", 8)
    told = refuse(USAGE_ERROR, *ask)
    assert told.startswith("there are no samples to fill the rehearsal slots with")
    assert "help: give --rehearse F.npz" in told
    x = np.load(samples)["x"]
    np.savez(tmp_path / "bare.npz", x=x)
    told = refuse(DATA_ERROR, *ask, "--calibration", tmp_path / "bare.npz")
    assert "the data file has no array 'y' of labels" in told and "--rehearse F.npz" in told
    told = refuse(USAGE_ERROR, *ask, "--calibration", samples, "--classes", 3)
    assert "their labels are those of the classifier that --classes 3 replaces" in told
    told = refuse(DATA_ERROR, *ask, "--rehearse", samples, "--classes", CLASSES - 1)
    assert "label" in told
    told = refuse(USAGE_ERROR, *ask[:-1], 1, "--rehearse", samples)
    assert told.startswith("1 rehearsal slots cannot hold a sample of each of the")
    assert f"help: give --rehearsal-slots {CLASSES} or more" in told
    told = refuse(USAGE_ERROR, *ask[:-1], 0, "--rehearse", samples)
    assert told.startswith("--rehearse gives samples for a rehearsal set, and --rehearsal-slots 0")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--scheme", "none"), "the scheme none trains nothing, and a rehearsal set is to train"),
        (("--scheme", "head", "--follow", "auto"), "--rehearse keeps what the frozen layers give"),
        (("--inference",), "--rehearse gives samples to train on, and --inference leaves training"),
    ],
    ids=lambda one: one[-1] if isinstance(one, tuple) else "",
)
def test_what_no_step_could_train_on(
    words: tuple[str, ...], why: str, refuse: Refuse, tmp_path: Path
) -> None:
    """At once: neither the model nor the samples are read."""
    told = refuse(
        USAGE_ERROR, "compile", "m.onnx", "-o", tmp_path / "out", "--rehearse", "old.npz", *words
    )
    assert told.startswith(why)


def test_a_class_that_is_missing_is_named(
    model: Path, samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.load(samples)["x"]
    np.savez(tmp_path / "old.npz", x=x, y=np.arange(len(x)) % (CLASSES - 1))
    ask = ["compile", str(model), "-o", str(tmp_path / "out"), "--json"]
    assert main([*ask, "--rehearse", str(tmp_path / "old.npz")]) == 0
    held = json.loads(capsys.readouterr().out)
    assert any(f"no sample of class {CLASSES - 1}:" in said for said in held["warnings"])
    assert held["rehearsal"]["slots"] == len(x)
    assert held["flash"]["rehearsal set"] == held["rehearsal"]["bytes"]
    assert sum(held["flash"].values()) == 2 * held["flash"]["total"]


def test_the_set_keeps_the_old_task_so_that_the_rate_need_not(
    model: Path, samples: Path, tmp_path: Path
) -> None:
    rates = {
        (keep, slots): compile_model(
            model,
            output=tmp_path / "out",
            calibration=samples,
            keep=keep,
            rehearsal_slots=slots,
        ).compiled.rate
        for keep in ("new", "old")
        for slots in (None, CLASSES)
    }
    assert rates["old", None] < rates["new", None]
    assert rates["old", CLASSES] == rates["new", CLASSES] == rates["new", None]


def test_too_many_samples(
    model: Path,
    many: Path,
    refuse: Refuse,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The error says how many would fit, and so many do; by itself it takes fewer."""
    out = tmp_path / "out"
    ask = ["compile", model, "-o", out, "--rehearse", many, "--json"]
    assert main([str(word) for word in ask]) == 0
    held = json.loads(capsys.readouterr().out)
    assert held["rehearsal"]["slots"] == 64
    each = held["rehearsal"]["sample_bytes"]
    room = held["flash"]["total"] - 20 * each
    told = refuse(BUDGET_ERROR, *ask, "--flash", room, "--rehearsal-slots", 400)
    assert re.search(r"\n +[\d,]+  rehearsal set\n", told)
    found = re.search(r"help: (\d+) rehearsal slots fit \(--rehearsal-slots (\d+)\)$", told)
    assert found is not None and 40 <= int(found[1]) <= 44, told
    fitting = [*ask, "--flash", room, "--rehearsal-slots", found[2]]
    assert main([str(word) for word in fitting]) == 0
    capsys.readouterr()
    assert main([str(word) for word in (*ask, "--flash", room)]) == 0
    held = json.loads(capsys.readouterr().out)
    assert 40 <= held["rehearsal"]["slots"] <= 44
    assert held["flash"]["total"] <= room
    told = refuse(
        BUDGET_ERROR, *ask, "--flash", held["flash"]["total"] - 43 * each, "--rehearsal-slots", 9
    )
    assert "leave out the rehearsal set (--rehearsal-slots 0)" in told or "smaller model" in told
