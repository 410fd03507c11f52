"""What was measured stays, and what decides depends on nothing else."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from tests.support.inline_workers import Inline
from tinytrain.errors import RunError, UsageError
from tinytrain.experiments.pool import Job
from tinytrain.scheme.scheme import Scheme, Share
from tinytrain.searches import conduct
from tinytrain.searches.conduct import Conductor, Silent
from tinytrain.searches.measured import KIND, Measured, NotMeasured, SearchTrial, TrialLength
from tinytrain.searches.store import Store, key_of

LENGTH = TrialLength("short", 100, (0, 1), 50)
SCHEMES = [Scheme(f"s{k}", (), {f"conv_{k}": Share(0.5)}) for k in range(3)]


def loss_of(
    largest: Path, samples: Path, cache: Path, training: SearchTrial, report: object
) -> dict[str, Any]:
    """A made measurement, that knows its scheme and its seed."""
    loss = None if training.scheme.name == "s2" else len(training.scheme.name) + training.seed
    return {"loss": loss, "accuracy": 0.25}


@pytest.fixture
def conductor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Conductor:
    monkeypatch.setattr(conduct, "run_training", loss_of)
    return conductor_in(tmp_path)


def conductor_in(place: Path, workers: Inline | None = None) -> Conductor:
    for name in ("largest", "samples"):
        (place / name).write_bytes(b"")
    files = place / "largest", place / "samples"
    measured = Measured(Store(place / "store"))
    return Conductor(measured, lambda: files, place / "cache", workers or Inline(), Silent())


def test_what_is_missing_is_named_whole_and_then_known(conductor: Conductor) -> None:
    measured = conductor._measured
    with pytest.raises(NotMeasured) as caught:
        measured.marks(SCHEMES, LENGTH)
    assert len(caught.value.trainings) == 6
    found = conductor.answer(lambda: measured.marks(SCHEMES, LENGTH))
    assert [one.losses for one in found] == [(2, 3), (2, 3), (math.inf, math.inf)]
    assert found[0].loss == 2.5 and found[0].accuracy == 0.25 and conductor.done == 6
    # Nothing is measured twice.
    conductor.answer(lambda: measured.marks(SCHEMES, LENGTH))
    assert conductor.done == 6


def test_a_search_that_was_interrupted_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conduct, "run_training", loss_of)
    seen: list[Job] = []

    def interrupt(job: Job) -> None:
        seen.append(job)
        if len(seen) == 4:
            raise KeyboardInterrupt

    first = conductor_in(tmp_path, Inline(interrupt))
    with pytest.raises(KeyboardInterrupt):
        first.answer(lambda: first._measured.marks(SCHEMES, LENGTH))
    second = conductor_in(tmp_path)
    found = second.answer(lambda: second._measured.marks(SCHEMES, LENGTH))
    assert (first.done, second.done) == (3, 3)
    other = tmp_path / "other"
    other.mkdir()
    whole = conductor_in(other)
    assert whole.answer(lambda: whole._measured.marks(SCHEMES, LENGTH)) == found
    stores = [sorted((place / "store" / KIND).iterdir()) for place in (tmp_path, other)]
    assert [f.name for f in stores[0]] == [f.name for f in stores[1]]
    assert [f.read_bytes() for f in stores[0]] == [f.read_bytes() for f in stores[1]]


def test_a_disk_that_is_full_loses_nothing(
    conductor: Conductor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = conductor._measured
    conductor.answer(lambda: measured.marks(SCHEMES[:1], LENGTH))
    before = {file: file.read_bytes() for file in (tmp_path / "store" / KIND).iterdir()}

    def full(self: Path, *_: object, **__: object) -> int:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        conductor.answer(lambda: measured.marks(SCHEMES, LENGTH))
    monkeypatch.undo()
    assert {f: f.read_bytes() for f in (tmp_path / "store" / KIND).iterdir()} == before


def test_a_training_that_fails_is_named_and_the_others_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(
        largest: Path, samples: Path, cache: Path, training: SearchTrial, report: object
    ) -> dict[str, Any]:
        if training.scheme.name == "s1" and training.seed == 1:
            raise UsageError("no such thing")
        return {"loss": 1.0, "accuracy": 0.5}

    monkeypatch.setattr(conduct, "run_training", fails)
    conductor = conductor_in(tmp_path)
    with pytest.raises(RunError) as caught:
        conductor.answer(lambda: conductor._measured.marks(SCHEMES, LENGTH))
    assert caught.value.what == "1 of 6 trainings failed, the others are done"
    assert caught.value.detail == "short: s1, seed 1: no such thing"
    assert conductor.done == 5


def test_a_training_is_known_by_what_decides_it() -> None:
    def keys(*trainings: SearchTrial) -> set[str]:
        return {one.key for one in trainings}

    one = SearchTrial(SCHEMES[0], LENGTH, 0)
    renamed = Scheme("other name", (), SCHEMES[0].weights)
    assert keys(one, SearchTrial(renamed, TrialLength("x", 100, (0,), 50), 0)) == {one.key}
    others = (
        SearchTrial(SCHEMES[1], LENGTH, 0),
        SearchTrial(SCHEMES[0], LENGTH, 1),
        SearchTrial(SCHEMES[0], TrialLength("short", 200, (0, 1), 50), 0),
        SearchTrial(SCHEMES[0], TrialLength("short", 100, (0, 1), 60), 0),
        SearchTrial(SCHEMES[0], TrialLength("short", 100, (0, 1), 50, "eval"), 0),
        SearchTrial(SCHEMES[0], TrialLength("short", 100, (0, 1), 50, "eval", "a"), 0),
    )
    assert len(keys(one, *others)) == 7


def test_a_damaged_file_is_as_good_as_none(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.keep("kind", "key", "title", {"a": 1})
    path = tmp_path / "kind" / "key.json"
    assert json.loads(path.read_text()) == {"title": "title", "a": 1}
    for text in ("{", "[]", "", "{}"):
        path.write_text(text)
        assert Store(tmp_path).read("kind", "key") is None
    assert key_of(1, "a") == key_of(1, "a") != key_of("1", "a")


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written") as caught:
        Store(tmp_path / "file" / "store")
    assert caught.value.help == "name another one with --store"
