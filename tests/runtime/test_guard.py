"""What a guard decides beside its twin, to the bit."""

from __future__ import annotations

import ctypes as c
from dataclasses import replace

import numpy as np

from tests.support.runtime.cases import Rng
from tests.support.runtime.kernels import Kernels
from tests.support.runtime.memory import Block
from tinytrain.reference.errors_seen import ClassErrors, Sums
from tinytrain.reference.guard import ACTIONS, Guard

F = np.float32


class View(c.Structure):
    """`tt_guard_view`."""

    _fields_ = (
        ("guard", c.c_void_p),
        ("classes", c.c_void_p),
        ("class_count", c.c_size_t),
        ("is_share", c.c_int),
        ("norm", c.c_float),
        ("is_at_ends", c.c_int),
    )


class Report(c.Structure):
    """`tt_guard_report`."""

    _fields_ = (
        ("action", c.c_int),
        ("reason", c.c_int),
        *((name, c.c_float) for name in ("kept", "best", "stream", "factor")),
        *((name, c.c_uint32) for name in ("checks", "saves", "restores")),
        ("reasons", c.c_uint32 * 7),
        ("is_unlike", c.c_int),
    )


def judged(kernels: Kernels, guard: Guard, norm: float) -> tuple[str, bytes]:
    """What C decides, and its state behind it; what it tells of new samples is held to the twin."""
    is_unlike = guard.is_unlike()
    state = guard.state_bytes()
    block = Block(np.frombuffer(state, np.uint8).copy())
    head = len(replace(guard, class_errors=[]).state_bytes())
    view = View(block.address, block.address + head, len(guard.class_errors), 1, norm, 0)
    report = Report()
    kernels.call("guard_judge", c.byref(view), c.byref(report))
    assert bool(report.is_unlike) == is_unlike
    return ACTIONS[report.action], block.read().tobytes()


def compare(kernels: Kernels, guard: Guard, norm: float) -> str:
    action, state = judged(kernels, guard, norm)
    assert guard.judge(F(norm), is_at_ends=False) == action
    assert guard.state_bytes() == state
    return action


def sums(count: float, total: float, squares: float) -> Sums:
    return Sums(F(count), F(total), F(squares))


def test_what_is_learned_leaves_nothing_usual(kernels: Kernels) -> None:
    """New errors fall again, so that those of before are no measure of anything."""
    guard = Guard(
        True,
        [ClassErrors(), ClassErrors()],
        kept=sums(20, 6, 2.6),
        best=sums(20, 4, 1.6),
        fresh=sums(50, 25, 15),
        usual=sums(400, 120, 50),
        then=sums(400, 320, 270),
        first=sums(50, 45, 42),
        norm=F(100),
        checks=3,
        saves=1,
        waited=1,
    )
    for each in guard.class_errors:
        each.came = 25
    assert compare(kernels, guard, 100.0) == "waited"


def drawn(rng: Rng) -> Sums:
    """Of errors from 0 to 1; now and then of none."""
    count = int(rng.integers(0, 60))
    errors = rng.beta(0.4, rng.uniform(0.3, 3), count).astype(F)
    found = Sums()
    for error in errors:
        found.add(error)
    return found


def test_states_of_all_kinds(kernels: Kernels, rng: Rng) -> None:
    seen = set()
    for _ in range(200):
        names = ("kept", "best", "fresh", "usual", "then", "first")
        guard = Guard(True, **{name: drawn(rng) for name in names})  # type: ignore[arg-type]
        for _ in range(int(rng.integers(0, 4))):
            each = ClassErrors(kept=drawn(rng), best=drawn(rng))
            each.came = int(rng.integers(0, 50))
            guard.class_errors.append(each)
        guard.norm, guard.saves = F(rng.uniform(0, 50)), int(rng.integers(0, 3))
        guard.waited, guard.halvings = int(rng.integers(0, 3)), int(rng.integers(0, 8))
        guard.is_strict, guard.is_broken = (bool(rng.uniform() < 0.1) for _ in range(2))
        seen.add(compare(kernels, guard, float(F(rng.uniform(0, 400)))))
    assert seen == set(ACTIONS)
