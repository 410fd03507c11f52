"""The order of training and the bytes of stream.bin."""

from __future__ import annotations

import hashlib
import struct
from pathlib import Path

import numpy as np
import pytest

from tinytrain.data import Dataset, SampleSpec
from tinytrain.data.dataset import CHUNK
from tinytrain.simulation.stream import SampleStream, training_order
from tinytrain.simulation.stream_file import write_stream

SPEC = SampleSpec((1, 1, 1, 3), (1, 3), "NC", 2, 2, scale=0.5, zero_point=1)


def dataset(count: int, spec: SampleSpec = SPEC) -> Dataset:
    x = np.arange(3 * count, dtype=np.float32).reshape(count, 1, 1, 3) % 50
    y = np.arange(count, dtype=np.int32) % 2
    return Dataset(spec, x, y if spec.classes else y[:, None].astype(np.float32) / 4)


def test_every_epoch_takes_each_sample_once_in_another_order() -> None:
    order = training_order(7, 17, seed=3)
    assert order.shape == (17,)
    assert sorted(order[:7]) == sorted(order[7:14]) == list(range(7))
    assert order[:7].tolist() != order[7:14].tolist()
    assert not np.array_equal(order, training_order(7, 17, seed=4))


def test_order_is_frozen() -> None:
    """Recorded once: a seed must mean this order for as long as results are compared."""
    assert training_order(10, 10, seed=0).tolist() == [2, 8, 4, 9, 1, 6, 7, 3, 0, 5]
    long = training_order(1000, 3000, seed=2**32 - 1).astype("<u4").tobytes()
    assert hashlib.sha256(long).hexdigest()[:16] == "66988d2717555b77"


@pytest.mark.parametrize(("steps", "length"), [(0, 0), (1, 1), (7, 7)])
def test_short_orders(steps: int, length: int) -> None:
    assert training_order(7, steps, seed=0).size == length


def test_file_of_a_classification(tmp_path: Path) -> None:
    plan = SampleStream(
        train=dataset(4),
        order=np.array([3, 0]),
        evaluation=dataset(1),
        learning_rate=0.25,
        parameters_in=b"x",
    )
    calls: list[tuple[int, int]] = []
    path = tmp_path / "stream.bin"
    write_stream(plan, path, lambda done, total: calls.append((done, total)))
    # q = round(x / 0.5) + 1
    assert path.read_bytes() == (
        struct.pack("<4s7If", b"TTSS", 1, 3, 2, 2, 1, 2, 3, 0.25)
        + struct.pack("<3bi", 1, 3, 5, 0)
        + struct.pack("<3bi", 19, 21, 23, 1)
        + struct.pack("<3bi", 1, 3, 5, 0)
    )
    assert calls == [(1, 3), (2, 3), (3, 3)]


def test_file_of_a_regression(tmp_path: Path) -> None:
    spec = SampleSpec((1, 1, 1, 3), (1, 3), "NC", 1, 0, scale=0.5)
    path = tmp_path / "stream.bin"
    write_stream(
        SampleStream(train=dataset(2, spec), order=np.array([1])), path, lambda done, total: None
    )
    assert path.read_bytes() == (
        struct.pack("<4s7If", b"TTSS", 1, 3, 1, 0, 0, 1, 0, 0.0)
        + struct.pack("<3bf", 6, 8, 10, 0.25)
    )


def test_chunks_leave_nothing_out() -> None:
    count = 2 * CHUNK + 1
    plan = SampleStream(
        train=dataset(count), order=training_order(count, count, 0), evaluation=dataset(count)
    )
    assert sum(1 for _ in plan.eval_samples()) == count
    for (x, target), index in zip(plan.train_samples(), plan.order, strict=True):
        assert x[0, 0, 0] == np.clip(2 * (3 * index % 50) + 1, -128, 127)
        assert target == index % 2
