"""Placement: apart, the same every time, and proved where it says so."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys

import pytest

from tinytrain.plan.place import ALIGNMENT, Placement, live_bytes, place
from tinytrain.plan.storage import ArenaStorage


def dense(seed: int, steps: int, height: int) -> list[ArenaStorage]:
    """Storages that fill an arena of `height` units at every step, sizes changing all the time.

    Two or three end at each step, others of the same sum begin: hard to place without gaps.
    """
    rng = random.Random(seed)

    def parts(total: int) -> list[int]:
        sizes = []
        while total:
            sizes.append(rng.randint(1, min(total, 4)))
            total -= sizes[-1]
        return sizes

    live = [(size, 0) for size in parts(height)]
    found: list[tuple[int, int, int]] = []
    for step in range(1, steps):
        rng.shuffle(live)
        count = rng.randint(2, 3)
        gone, live = live[:count], live[count:]
        found += [(size, first, step - 1) for size, first in gone]
        live += [(size, step) for size in parts(sum(size for size, _ in gone))]
    found += [(size, first, steps - 1) for size, first in live]
    return [
        ArenaStorage(f"s{k}", (), ALIGNMENT * size, a, b) for k, (size, a, b) in enumerate(found)
    ]


def assert_valid(items: list[ArenaStorage], found: Placement, bound: int) -> None:
    assert found.nbytes >= bound
    assert (found.proof == "bound met") == (found.nbytes == bound)
    assert all(offset % ALIGNMENT == 0 for offset in found.offsets)
    for (a, at), (b, where) in itertools.combinations(zip(items, found.offsets, strict=True), 2):
        if a.first <= b.last and b.first <= a.last:
            assert at + a.nbytes <= where or where + b.nbytes <= at
    tops = [at + item.nbytes for item, at in zip(items, found.offsets, strict=True)]
    assert found.nbytes - ALIGNMENT < max(tops, default=0) <= found.nbytes or not items


@pytest.mark.parametrize("seed", range(30))
def test_storages_that_live_together_lie_apart(seed: int) -> None:
    rng = random.Random(seed)
    steps = rng.randint(1, 30)
    items = []
    for k in range(rng.randint(0, 40)):
        first = rng.randrange(steps)
        last = min(steps - 1, first + rng.randint(0, 6))
        items.append(ArenaStorage(f"s{k}", (), rng.randint(1, 3000), first, last))
    sums = live_bytes(items, range(steps))
    bound, peak = max(sums), sums.index(max(sums))
    live = [s for s in items if s.first <= peak <= s.last]
    assert bound == sum(-(-s.nbytes // ALIGNMENT) * ALIGNMENT for s in live)
    assert_valid(items, place(items, bound), bound)


def test_the_solver_meets_the_bound_where_first_fit_does_not() -> None:
    methods = set()
    for seed, steps, height in (*((seed, 12, 8) for seed in range(8)), (1, 20, 16), (2, 20, 16)):
        items = dense(seed, steps, height)
        bound = max(live_bytes(items, range(steps)))
        found = place(items, bound)
        assert_valid(items, found, bound)
        assert found.proof == "bound met"
        assert place(items, bound) == found
        methods.add(found.method)
    assert methods == {"first fit", "CP-SAT"}


@pytest.mark.parametrize(("seed", "steps", "height"), [(112, 10, 10), (206, 14, 8)])
def test_what_is_larger_than_the_bound_is_proved_to_be_the_least(
    seed: int, steps: int, height: int
) -> None:
    items = dense(seed, steps, height)
    bound = max(live_bytes(items, range(steps)))
    found = place(items, bound)
    assert_valid(items, found, bound)
    assert found.nbytes > bound
    assert found.proof == "optimal"


def test_where_the_solver_runs_out_of_work_first_fit_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    items = dense(112, 10, 10)
    bound = max(live_bytes(items, range(10)))
    monkeypatch.setattr("tinytrain.plan.place._WORK", 0.0)
    found = place(items, bound)
    assert_valid(items, found, bound)
    assert str(found) == "best found (first fit)"


def test_an_interruption_is_heard_after_the_solver() -> None:
    """The command unwinds, and what it was doing is undone."""
    code = (
        "import os, signal, time, tests.plan.test_place as t\n"
        # A job in the background has none.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "items = t.dense(112, 10, 10)\n"
        "assert t.place(items, max(t.live_bytes(items, range(10)))).proof == 'optimal'\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGINT)\n"
        "    time.sleep(5)\n"
        "except KeyboardInterrupt:\n"
        "    print('heard')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "heard\n"), done.stderr


def test_the_solver_is_loaded_where_it_is_needed_only() -> None:
    code = (
        "import sys, tests.plan.test_plan as t\n"
        "t.step_of(t.GRAPHS['signal']())\n"
        "assert 'ortools' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
