"""Learning-rate schedules: the C against its twin to the bit, the twin against float64."""

from __future__ import annotations

import ctypes
import itertools
import math

import numpy as np
import pytest

from tests.support.runtime.cases import Rng, same
from tests.support.runtime.kernels import Kernels
from tinytrain.errors import UsageError
from tinytrain.reference.schedule import (
    KINDS,
    MAX_STEPS,
    SETTLE_FLOOR,
    SETTLE_STEPS,
    RateSchedule,
    parse_schedule,
    rate_at,
)

SCHEDULES = (
    RateSchedule(warm_up=7),
    RateSchedule("step", 10, float(np.float32(0.5))),
    RateSchedule("step", 1, float(np.float32(0.999))),
    RateSchedule("step", 3, float(np.float32(0.1)), warm_up=4),
    RateSchedule("cosine", 1),
    RateSchedule("cosine", 1000, warm_up=50),
    RateSchedule("cosine", 20_000),
    RateSchedule("cosine", MAX_STEPS, warm_up=MAX_STEPS),
    RateSchedule("settle", 1, float(np.float32(0.25))),
    RateSchedule("settle", 300, float(np.float32(0.1)), warm_up=20),
    RateSchedule("settle", MAX_STEPS, float(np.float32(2.0**-20))),
)


class CSchedule(ctypes.Structure):
    """`tt_schedule`."""

    _fields_ = (
        ("kind", ctypes.c_int),
        ("warm_up", ctypes.c_uint32),
        ("period", ctypes.c_uint32),
        ("factor", ctypes.c_float),
    )


def steps_of(schedule: RateSchedule, rng: Rng) -> list[int]:
    """The first ones, those around every seam, and some from everywhere."""
    seams = [schedule.warm_up, schedule.warm_up + schedule.period]
    seams.append(schedule.warm_up + schedule.period // 2)
    near = [seam + k for seam in seams for k in range(-3, 4)]
    far = rng.integers(0, 2 * (schedule.warm_up + schedule.period) + 1, 300).tolist()
    return [t for t in [*range(100), *near, *far, 2**32 - 1] if 0 <= t < 2**32]


def exact(schedule: RateSchedule, base: float, t: int) -> float:
    """The formula in double precision."""
    if t < schedule.warm_up:
        return base * (t + 1) / schedule.warm_up
    s = t - schedule.warm_up
    if schedule.kind == "step":
        return base * schedule.factor ** (s // schedule.period)
    if schedule.kind == "cosine":
        return base * (0.5 + 0.5 * math.cos(math.pi * min(s / schedule.period, 1.0)))
    if schedule.kind == "settle":
        return base * max(1.0 / (1.0 + s / schedule.period), schedule.factor)
    return base


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_kernel_equals_its_twin(schedule: RateSchedule, kernels: Kernels, rng: Rng) -> None:
    given = CSchedule(
        KINDS.index(schedule.kind), schedule.warm_up, schedule.period, schedule.factor
    )
    for t in steps_of(schedule, rng):
        base = float(np.float32(2.0 ** rng.uniform(-30, 10)))
        found = kernels.call(
            "rate_at",
            ctypes.byref(given),
            ctypes.c_float(base),
            ctypes.c_uint32(t),
            restype=ctypes.c_float,
        )
        same(np.float32([found]), np.float32([rate_at(schedule, base, t)]))


@pytest.mark.parametrize("schedule", SCHEDULES, ids=str)
def test_twin_is_near_the_formula(schedule: RateSchedule, rng: Rng) -> None:
    """docs/arithmetic.md states the bounds; the formula itself cancels near the end of a cosine."""
    for t in steps_of(schedule, rng):
        wanted = exact(schedule, 1.0, t)
        periods = max(t - schedule.warm_up, 0) // max(schedule.period, 1)
        bound = 2.0**-23 * wanted * max(periods, 1) if schedule.kind == "step" else 2.0**-21
        assert abs(float(rate_at(schedule, 1.0, t)) - wanted) <= bound + 2.0**-126, t


def test_shape_of_a_schedule() -> None:
    cosine = parse_schedule("cosine:100", 10)
    rates = [float(rate_at(cosine, 0.5, t)) for t in range(120)]
    assert rates[0] == pytest.approx(0.05) and rates[9] == rates[10] == 0.5
    assert rates[60] == pytest.approx(0.25) and rates[110:] == [0.0] * 10
    assert all(a >= b for a, b in itertools.pairwise(rates[9:]))
    step = parse_schedule("step:3:0.5")
    assert [float(rate_at(step, 1.0, t)) for t in range(7)] == [1, 1, 1, 0.5, 0.5, 0.5, 0.25]
    settle = parse_schedule("settle:100:0.25", 10)
    rates = [float(rate_at(settle, 0.5, t)) for t in (9, 10, 110, 310, 311, 10**9, 2**32 - 1)]
    assert rates == [0.5, 0.5, 0.25, 0.125, 0.125, 0.125, 0.125]
    assert parse_schedule("settle") == parse_schedule(f"settle:{SETTLE_STEPS}:{SETTLE_FLOOR}")
    constant = parse_schedule("constant")
    assert constant.is_constant and float(rate_at(constant, 0.25, 10**9)) == 0.25


NO_SCHEDULES = """
    : constant:1 cosine cosine:-3 step:0:0.5 step:3 step:3:1 step:3:-1 step:3:nan settle: settle:0
    settle:3.5 settle:9999999999 settle:3:0 settle:3:1 settle:3:1e-60 settle:3:0.5:1
"""


@pytest.mark.parametrize("text", ["", *NO_SCHEDULES.split()])
def test_what_is_no_schedule(text: str) -> None:
    with pytest.raises(UsageError, match="schedule"):
        parse_schedule(text)
