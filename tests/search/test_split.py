"""The samples of a search: judges split off by class, and what data is refused."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest

from tinytrain.data import Dataset, SampleSpec
from tinytrain.errors import DataError, UsageError, Where
from tinytrain.losses import SampleTarget
from tinytrain.searches import split
from tinytrain.searches.figure import BALANCED, LESS_LOSS, RIGHT, figure_of, less_loss, right
from tinytrain.searches.split import (
    check_classes,
    check_unseen,
    labelled_samples,
    search_samples,
    thinned,
)

WHERE = Where("learn.npz")


def spec(classes: int = 3) -> SampleSpec:
    return SampleSpec(
        shape=(1, 1, 1, 2),
        source_shape=(1, 2),
        source_layout="NC",
        output_size=max(classes, 1),
        classes=classes,
        scale=0.1,
    )


def data(labels: np.ndarray, classes: int = 3) -> Dataset:
    """Samples whose first value is their place."""
    x = np.zeros((len(labels), 1, 1, 2), np.float32)
    x[:, 0, 0, 0] = np.arange(len(labels))
    return Dataset(spec(classes), x, labels.astype(np.int32))


def places(of: Dataset) -> list[int]:
    return [int(value) for value in of.x[:, 0, 0, 0]]


def test_the_last_part_of_each_class_judges() -> None:
    labels = np.array([0] * 8 + [1] * 4 + [2] * 5)
    found = search_samples(data(labels), None)
    learn, judge = found.split(0)
    assert judge.tolist() == [6, 7, 11, 16]
    assert sorted([*learn, *judge]) == list(range(len(labels)))
    assert found.counts == (13, 4) and found.eval is None


def test_of_many_samples_some_are_taken_and_none_on_both_sides(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(split, "MOST", 70)
    labels = np.random.RandomState(0).randint(0, 3, 400)
    found = search_samples(data(labels), data(labels[:7]))
    assert len(set(places(found.data))) == 70
    assert found.eval is not None and len(found.eval) == 7
    assert sum(found.counts) == 70


def test_classes_that_take_turns_keep_their_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(split, "MOST", 100)
    labels = np.arange(400) % 2
    labels[[100, 200, 250, 300, 390]] = 2
    found = search_samples(data(labels), None)
    check_classes(found.data, WHERE)
    counts = np.bincount(found.data.targets(slice(None)))
    assert counts.sum() == 100 and counts[2] >= 4 and abs(counts[0] - counts[1]) <= 2
    labels = np.arange(90) % 2
    _, judge = search_samples(data(labels, 2), None).split(0)
    shown = labels[judge[thinned(labels[judge], 6)]]
    assert sorted(shown.tolist()) == [0, 0, 0, 1, 1, 1]
    assert thinned(np.arange(9), 3).size == 3 and thinned(np.zeros(4), 9).tolist() == [0, 1, 2, 3]


def test_each_order_has_judges_of_its_own() -> None:
    labels = np.random.RandomState(0).randint(0, 3, 100)
    found = search_samples(data(labels), None)
    parts = [found.split(seed) for seed in range(3)]
    for learn, judge in parts:
        assert not set(learn) & set(judge) and len(learn) + len(judge) == 100
    judges = np.concatenate([judge for _, judge in parts])
    assert len(set(judges)) == len(judges)
    assert np.array_equal(found.split(3)[1], found.split(0)[1])


def refusal(labels: np.ndarray, classes: int) -> str:
    with pytest.raises((DataError, UsageError)) as caught:
        check_classes(data(labels, classes), WHERE)
    return f"{caught.value.what}; {caught.value.help}"


def test_fewer_classes_than_the_head_are_refused() -> None:
    labels = np.repeat([0, 1, 2], 8)
    assert refusal(labels, 5) == (
        "the data has samples of 3 classes, and the head has 5: there is none of class 3; "
        "give samples of every class, or a fresh head for those that there are: --classes 3"
    )
    assert refusal(labels + (labels > 1), 4) == (
        "the data has samples of 3 classes, and the head has 4: there is none of class 2; "
        "give samples of every class"
    )


def test_a_class_that_nobody_could_judge_is_refused() -> None:
    assert refusal(np.array([0] * 9 + [1] * 3), 2).startswith(
        "class 1 has 3 samples, and a search needs 4 of each class"
    )


def test_where_there_are_no_classes_the_last_part_judges() -> None:
    assert refusal(np.zeros(3, np.int32), 0).startswith(
        "the data has 3 samples, and a search needs 4: one part in four"
    )
    targets = np.random.RandomState(0).rand(10, 2).astype(np.float32)
    numbers = dataclasses.replace(spec(0), output_size=2, target=SampleTarget.VALUES)
    x = np.zeros((10, 1, 1, 2), np.float32)
    found = search_samples(Dataset(numbers, x, targets), None)
    check_classes(found.data, WHERE)
    assert [judge.tolist() for _, judge in map(found.split, range(3))] == [[8, 9], [6, 7], [4, 5]]
    assert found.figure is LESS_LOSS


def test_samples_that_are_learned_from_report_nothing() -> None:
    known = data(np.arange(9) % 3)
    with pytest.raises(DataError, match="every sample of eval= is in data= too"):
        check_unseen(known, data(np.arange(6) % 3))
    step = np.array([1.0, 0.0], np.float32)
    note = check_unseen(known, Dataset(known.spec, known.x + 5 * step, known.y))
    assert note is not None and note.startswith("4 of 9 samples of --eval are in --data too")
    assert check_unseen(known, Dataset(known.spec, known.x + 100 * step, known.y)) is None


def test_unequal_classes_count_alike() -> None:
    assert figure_of(data(np.arange(9) % 3)) is RIGHT
    labels = np.array([0] * 8 + [1] * 2)
    assert figure_of(data(labels, 2)) is BALANCED
    always = np.zeros(10, np.int32)
    assert right(always, labels, 2, balanced=False) == 0.8
    assert right(always, labels, 2, balanced=True) == 0.5
    found = [less_loss(2.0, after) for after in (0.5, 2.0, 9.0, math.inf)]
    assert found == [0.75, 0.0, -1.0, -1.0] and less_loss(0.0, 0.0) == 0.0


def test_data_without_labels_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((9, 2), np.float32))
    with pytest.raises(DataError, match="no array 'y' of labels"):
        labelled_samples(str(tmp_path / "x.npz"), spec(), "data")
    with pytest.raises(DataError, match="there is no y"):
        labelled_samples(np.zeros((9, 2), np.float32), spec(), "data")
    with pytest.raises(DataError, match="no samples"):
        labelled_samples([], spec(), "data")


def test_pairs_and_loaders_give_what_a_file_gives(tmp_path: Path) -> None:
    x, y = np.random.RandomState(1).rand(12, 2).astype(np.float32), np.arange(12) % 3
    np.savez(tmp_path / "d.npz", x=x, y=y)
    wanted = labelled_samples(str(tmp_path / "d.npz"), spec(), "data")
    loader = [(x[k : k + 5], y[k : k + 5]) for k in range(0, 12, 5)]
    for given in ((x, y), loader, Path(tmp_path / "d.npz")):
        found = labelled_samples(given, spec(), "data")
        assert np.array_equal(found.x, wanted.x)
        assert np.array_equal(found.targets(slice(None)), wanted.targets(slice(None)))
