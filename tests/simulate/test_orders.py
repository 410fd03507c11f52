"""Streams sorted by class and drifting ones, and what is counted as forgotten."""

from __future__ import annotations

import numpy as np
import pytest

from tinytrain.data import Dataset, SampleSpec
from tinytrain.simulation.forgetting import class_accuracies, forgetting
from tinytrain.simulation.frozen_cache import NO_SLOT, plan_frozen_cache
from tinytrain.simulation.orders import by_class, drifted
from tinytrain.simulation.stream import SampleStream, training_order

SPEC = SampleSpec((1, 1, 1, 3), (1, 3), "NC", 3, 3, scale=0.5, zero_point=1)


def test_by_class_takes_the_same_samples_class_after_class() -> None:
    labels = np.array([2, 0, 1, 1, 0, 2, 2])
    shuffled = training_order(7, 11, seed=3)
    order = by_class(shuffled, labels, 3, seed=3)
    for epoch in (slice(0, 7), slice(7, 11)):
        assert sorted(order[epoch]) == sorted(shuffled[epoch])
        found = labels[order[epoch]]
        # Each class once, in a row.
        assert np.count_nonzero(np.diff(found)) == np.unique(found).size - 1
    firsts = {int(labels[by_class(shuffled, labels, 3, seed)[0]]) for seed in range(20)}
    assert firsts == {0, 1, 2}


def test_a_drift_is_the_stated_formula() -> None:
    x = np.array([[[[101, -99, 1]]], [[[101, -99, 1]]], [[[127, -128, 100]]]], np.int8)
    found = drifted(x, np.array([0.0, 1.0, 0.5]), zero_point=1)
    assert found.dtype == np.int8
    assert found[0].ravel().tolist() == [101, -99, 1]
    # Half the contrast about 1, and 32 up, down, up.
    assert found[1].ravel().tolist() == [51 + 32, -49 - 32, 1 + 32]
    # 1 + 0.75 * 126 + 16 = 111.5, a tie to even; -111.75; 91.25
    assert found[2].ravel().tolist() == [112, -112, 91]
    assert drifted(np.full((1, 1, 1, 1), 127, np.int8), np.ones(1), -128).max() == 32


def test_a_drifting_stream_changes_training_samples_alone() -> None:
    data = Dataset(SPEC, np.ones((4, 1, 1, 3), np.float32), np.zeros(4, np.int32))
    order = np.array([0, 1, 0, 1, 0])
    plain = SampleStream(data, order, evaluation=data)
    drifting = SampleStream(data, order, evaluation=data, drifts=True)
    assert [x.tolist() for x, _ in plain.eval_samples()] == [
        x.tolist() for x, _ in drifting.eval_samples()
    ]
    inputs = [x.ravel().tolist() for x, _ in drifting.train_samples()]
    assert inputs[0] == [3, 3, 3]
    assert inputs[-1] == [2 + 32, 2 - 32, 2 + 32]
    assert len({tuple(x) for x in inputs}) == 5
    cache = plan_frozen_cache(drifting, frozen_bytes=8, memory=800)
    assert cache is not None and cache.slots == 4
    assert (cache.steps == NO_SLOT).all()


def test_accuracy_of_each_class() -> None:
    found = class_accuracies((0, 1, 2, 2, 0), np.array([0, 0, 2, 2, 2]), 3)
    assert found == (0.5, None, pytest.approx(2 / 3))


def test_forgetting_is_from_the_best_to_the_last() -> None:
    evaluations = [(0.1, 0.9, None), (0.8, 0.5, None), (0.2, 0.7, None)]
    assert forgetting(evaluations) == pytest.approx((0.6 + 0.2) / 2)
    assert forgetting(evaluations[-1:]) == 0.0
    assert forgetting([(None, None)]) is None
