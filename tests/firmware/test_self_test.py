"""A model that tests itself: right with every way to train, and wrong where a source is."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.host_programs import Compile, link

OPTIONS: dict[str, dict[str, object]] = {
    "plain": {},
    "f32 gradients": {"gradient": "f32", "scheme": "last-1"},
    "momentum": {"momentum": 0.9, "accumulate": 3, "clip_norm": 1.0, "scheme": "head"},
    "adam": {"optimizer": "adam", "scheme": "bias"},
    "replay and guard": {"replay": 4, "guard": 2, "scheme": "head"},
    "class weights": {"class_weights": "balanced", "scheme": "head"},
    "rows": {"feed": "rows", "shape": (1, 3, 9, 6), "scheme": "head"},
    "regression": {"loss": "mean_squared_error", "scheme": "last-1"},
    "nothing trains": {"scheme": "none", "enrol": "ncm"},
    "schedule": {"schedule": "cosine:8", "warm_up": 2, "update": "nearest", "fraction_bits": 0},
}


@pytest.mark.parametrize("name", OPTIONS)
def test_proves_itself(name: str, generated: Compile, tmp_path: Path) -> None:
    folder = generated("small", self_test=True, **OPTIONS[name])
    assert link("self_test.c", [folder], tmp_path).run() == "ok\n"


PLANTED = {
    "exp": ("src/tt_loss.c", "5.0000001201e-1F", "5.01e-1F"),
    "random numbers": ("src/tt_sgd.h", "TT_RANDOM_FACTOR + TT_RANDOM_STEP", "TT_RANDOM_FACTOR"),
}


@pytest.mark.parametrize("where", PLANTED)
def test_finds_what_is_wrong(where: str, generated: Compile, tmp_path: Path) -> None:
    file, right, wrong = PLANTED[where]
    folder = tmp_path / "wrong"
    shutil.copytree(generated("small", self_test=True), folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert right in text
    (folder / file).write_text(text.replace(right, wrong), encoding="utf-8")
    assert link("self_test.c", [folder], tmp_path).run() == "wrong\n"


def test_is_left_out_by_default(generated: Compile) -> None:
    folder = generated("small")
    assert not list(folder.rglob("tt_self_test*"))
    assert "self_test" not in (folder / "src" / "small.h").read_text(encoding="utf-8")
