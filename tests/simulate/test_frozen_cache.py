"""Which samples get a slot, and the stream that says so."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tinytrain.data import Dataset, SampleSpec
from tinytrain.simulation.frozen_cache import LEFT_OUT, NO_SLOT, FrozenCache, plan_frozen_cache
from tinytrain.simulation.host import processor_flags
from tinytrain.simulation.stream import SampleStream, training_order
from tinytrain.simulation.stream_file import write_stream

SPEC = SampleSpec((1, 1, 1, 3), (1, 3), "NC", 2, 2, scale=0.5, zero_point=1)


def dataset(count: int) -> Dataset:
    x = np.arange(3 * count, dtype=np.float32).reshape(count, 1, 1, 3)
    return Dataset(SPEC, x, np.arange(count, dtype=np.int32) % 2)


def stream(order: list[int], evaluated: int = 0) -> SampleStream:
    evaluation = dataset(evaluated) if evaluated else None
    return SampleStream(train=dataset(9), order=np.array(order), evaluation=evaluation)


def entries(cache: FrozenCache | None) -> tuple[list[int], list[int]]:
    assert cache is not None
    return cache.evaluation.tolist(), cache.steps.tolist()


def test_samples_that_come_again_get_slots_in_the_order_in_which_they_come() -> None:
    cache = plan_frozen_cache(stream([5, 3, 8, 3, 5, 5]), frozen_bytes=10, memory=1000)
    again = LEFT_OUT
    assert entries(cache) == ([], [0, 1, NO_SLOT, again + 1, again, again])
    assert cache is not None and cache.slots == 2


def test_evaluation_comes_twice() -> None:
    cache = plan_frozen_cache(stream([1, 2], evaluated=2), frozen_bytes=10, memory=1000)
    assert entries(cache) == ([0, 1], [NO_SLOT, NO_SLOT])


def test_memory_is_never_exceeded() -> None:
    plan = stream([0, 1, 2, 0, 1, 2], evaluated=2)
    for memory in range(10, 70):
        cache = plan_frozen_cache(plan, frozen_bytes=10, memory=memory)
        assert cache is not None
        assert cache.slots == min(memory // 10, 5)
        evaluation, steps = entries(cache)
        used = {entry & ~LEFT_OUT for entry in (*evaluation, *steps)} - {NO_SLOT}
        assert used == set(range(cache.slots))


@pytest.mark.parametrize(("frozen", "memory"), [(0, 1000), (10, 0), (10, 9)])
def test_nothing_to_keep(frozen: int, memory: int) -> None:
    assert plan_frozen_cache(stream([1, 1], evaluated=1), frozen, memory) is None


def test_samples_that_come_once_are_not_kept() -> None:
    assert plan_frozen_cache(stream([1, 2, 3]), frozen_bytes=1, memory=1000) is None


def test_every_left_out_input_came_before() -> None:
    plan = SampleStream(train=dataset(9), order=training_order(9, 60, seed=4))
    cache = plan_frozen_cache(plan, frozen_bytes=10, memory=70)
    assert cache is not None
    seen = {}
    for sample, entry in zip(plan.order, cache.steps.tolist(), strict=True):
        if entry >= LEFT_OUT:
            assert seen[sample] == entry - LEFT_OUT
        elif entry != NO_SLOT:
            assert sample not in seen
            seen[sample] = entry
    assert sorted(seen.values()) == list(range(7))


def test_file_leaves_inputs_out(tmp_path: Path) -> None:
    plan = stream([3, 0, 3], evaluated=1)
    cache = plan_frozen_cache(plan, frozen_bytes=10, memory=1000)
    calls: list[tuple[int, int]] = []
    write_stream(
        plan, tmp_path / "stream.bin", lambda done, total: calls.append((done, total)), cache
    )
    # q = round(x / 0.5) + 1
    assert (tmp_path / "stream.bin").read_bytes() == (
        struct.pack("<4s7If", b"TTSS", 1, 3, 2, 2, 1, 3, 4, 0.0)
        + struct.pack("<I", 2)
        + struct.pack("<I3bi", 0, 1, 3, 5, 0)
        + struct.pack("<I3bi", 1, 19, 21, 23, 1)
        + struct.pack("<I3bi", NO_SLOT, 1, 3, 5, 0)
        + struct.pack("<Ii", LEFT_OUT + 1, 1)
    )
    assert calls == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_processor_without_a_description(tmp_path: Path) -> None:
    assert processor_flags(tmp_path / "none") == ()
    old = tmp_path / "cpuinfo"
    old.write_text("processor : 0\nflags\t\t: fpu sse sse2 avx\n")
    assert processor_flags(old) == ()
