"""What the demos learn from and what they are judged by have nothing in common."""

import numpy as np
import pytest

from examples.digits import data as digits
from examples.watch import data as watch
from examples.watch.story import PERSON


def samples_of(windows):
    """Every (series, sample) that a window covers."""
    return {
        (series, start + offset)
        for series, start in zip(windows.series.tolist(), windows.start.tolist(), strict=True)
        for offset in range(watch.WINDOW)
    }


@pytest.mark.parametrize("person", watch.PEOPLE)
def test_halves_of_a_person_share_no_sample(person):
    first, second = watch.first_half(person), watch.second_half(person)
    assert not samples_of(first) & samples_of(second)
    for half in (first, second):
        assert set(half.y.tolist()) == set(range(len(watch.EXERCISES)))
        assert set(watch.load().person[half.series].tolist()) == {person}


def test_training_never_sees_the_person_left_out():
    known = watch.others(PERSON)
    assert PERSON not in watch.load().person[known.series]
    assert len(set(watch.load().person[known.series].tolist())) == len(watch.PEOPLE) - 1


def test_a_window_is_the_piece_of_the_series_that_it_names():
    second = watch.second_half(PERSON)
    assert second.x.dtype == np.float32
    assert second.x.shape[1:] == (watch.CHANNELS, watch.WINDOW)
    for index in (0, len(second.y) // 2, len(second.y) - 1):
        series = watch.load().series[second.series[index]]
        start = second.start[index]
        np.testing.assert_array_equal(second.x[index].T, series[start : start + watch.WINDOW])
        assert second.y[index] == watch.load().exercise[second.series[index]]


def test_another_data_file_is_not_unpickled(tmp_path, monkeypatch):
    other = tmp_path / "watch_dataset.npy"
    np.save(other, np.array({"X": []}, dtype=object), allow_pickle=True)
    monkeypatch.setattr(watch, "data_file", lambda: other)
    with pytest.raises(ValueError, match="is not that of release"):
        watch.load.__wrapped__()


def test_parts_of_the_digits_share_no_image():
    parts = [digits.as_it_is_now(part) for part in (digits.TRAIN, digits.ADAPT, digits.TEST)]
    indices = [index for part in parts for index in part.index.tolist()]
    assert len(set(indices)) == len(indices) == 1797
    for part in parts:
        assert part.x.shape[1:] == digits.SHAPE
        assert part.x.dtype == np.float32
        assert part.x.min() >= 0
        assert part.x.max() <= 1
        assert set(part.y.tolist()) == set(range(digits.CLASSES))


def test_no_image_of_one_part_is_repeated_in_another():
    raw = {
        name: {image.tobytes() for image in digits.as_trained(part).x}
        for name, part in (("train", digits.TRAIN), ("adapt", digits.ADAPT), ("test", digits.TEST))
    }
    assert not raw["train"] & raw["test"]
    assert not raw["adapt"] & raw["test"]
