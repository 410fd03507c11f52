"""Learning-rate schedules: from the number of a step to its rate, docs/arithmetic.md section 6."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import UsageError

F = np.float32

KINDS = ("constant", "step", "cosine", "settle")
MAX_STEPS = 2**31 - 1
"""Of a warm-up, of a period, of a cosine."""

SETTLE_STEPS = 1000
"""After which `settle` has halved the rate, unless told otherwise."""

SETTLE_FLOOR = 0.05
"""The share of the rate that `settle` keeps for ever, unless told otherwise."""

_HELP = (
    "step:1000:0.5 halves the rate every 1000 steps, cosine:20000 brings it to 0, "
    "settle:1000:0.05 divides it by 1 + t/1000, down to a twentieth"
)
_SIN = (F(-1.9515295891e-4), F(8.3321608736e-3), F(-1.6666654611e-1))
_COS = (F(2.443315711809948e-5), F(-1.388731625493765e-3), F(4.166664568298827e-2))
_HALF_PI = F(1.5707963267948966)


@dataclass(frozen=True)
class RateSchedule:
    """How the rate of a step follows from its number.

    Attributes:
        kind: one of `KINDS`.
        period: steps between two factors, until a cosine is at 0, or until `settle` has halved
            the rate; 0 for a constant.
        factor: of each period of `step`, or the share of the rate at which `settle` ends, a
            float32 value above 0 and below 1.
        warm_up: steps in which the rate rises to its full value, before all else.
    """

    kind: str = "constant"
    period: int = 0
    factor: float = 1.0
    warm_up: int = 0

    @property
    def is_constant(self) -> bool:
        """Whether every step has the same rate."""
        return self.kind == "constant" and self.warm_up == 0

    @property
    def settles(self) -> bool:
        """Whether the rate becomes small by itself."""
        return self.kind in ("cosine", "settle")


CONSTANT = RateSchedule()


def parse_schedule(text: str, warm_up: int = 0) -> RateSchedule:
    """The schedule that a user wrote: `constant`, `step:EVERY:FACTOR`, `cosine:STEPS` or
    `settle[:STEPS[:FLOOR]]`.

    Raises:
        UsageError: it is none of these, or a number is out of range.
    """
    if text == "constant":
        return RateSchedule(warm_up=warm_up)
    kind, *numbers = text.split(":")
    if kind in _NUMBERS and text == kind and 0 not in _NUMBERS[kind]:
        raise UsageError(
            f"--schedule {kind} lacks its numbers: {_FORMS[kind]}",
            help=f"{_HELP}; settle needs no number",
        )
    if len(numbers) not in _NUMBERS.get(kind, ()):
        raise _no_schedule(text)
    period = _steps(numbers[0], text) if numbers else SETTLE_STEPS
    if kind == "cosine":
        return RateSchedule(kind, period, warm_up=warm_up)
    factor = _factor(numbers[1], text) if len(numbers) > 1 else float(F(SETTLE_FLOOR))
    return RateSchedule(kind, period, factor, warm_up)


_NUMBERS = {"step": (2,), "cosine": (1,), "settle": (0, 1, 2)}
"""How many numbers follow a kind."""


_FORMS = {"step": "step:EVERY:FACTOR", "cosine": "cosine:STEPS"}
"""Of kinds that need numbers."""


def _steps(text: str, schedule: str) -> int:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        raise _no_schedule(schedule)
    if not 1 <= int(text) <= MAX_STEPS:
        raise UsageError(
            f"--schedule must have between 1 and {MAX_STEPS} steps, got '{schedule}'", help=_HELP
        )
    return int(text)


def _factor(text: str, schedule: str) -> float:
    try:
        factor = float(F(float(text)))
    except ValueError:
        raise _no_schedule(schedule) from None
    if not 0.0 < factor < 1.0:
        raise UsageError(
            f"--schedule must multiply by a factor above 0 and below 1, got '{schedule}'",
            help=_HELP,
        )
    return factor


def _no_schedule(text: str) -> UsageError:
    return UsageError(
        f"--schedule must be constant, step:EVERY:FACTOR, cosine:STEPS or settle, got '{text}'",
        help=_HELP,
    )


def describe(schedule: RateSchedule) -> str:
    """A schedule in words, for a comment."""
    texts = {
        "constant": "constant",
        "step": f"times {schedule.factor:g} every {schedule.period} steps",
        "cosine": f"a cosine to 0 in {schedule.period} steps",
        "settle": f"halved after {schedule.period} steps, down to {schedule.factor:g} of it",
    }
    before = f"a warm-up of {schedule.warm_up} steps, then " if schedule.warm_up else ""
    return before + texts[schedule.kind]


def rate_at(schedule: RateSchedule, base: float, t: int) -> np.float32:
    """The learning rate of step t.

    Args:
        base: the rate that the schedule starts from, a float32 value in [0, 1024].
        t: steps before this one, 32 bits.

    Returns:
        0 to `base`.
    """
    rate = F(base)
    if t < schedule.warm_up:
        return rate * (F(t + 1) / F(schedule.warm_up))
    s = t - schedule.warm_up
    if schedule.kind == "step":
        return rate * power(F(schedule.factor), s // schedule.period)
    if schedule.kind == "cosine":
        if s >= schedule.period:
            return F(0)
        c = cos_quarter(s, schedule.period)
        return rate * (c * c)
    if schedule.kind == "settle":
        share = F(schedule.period) / (F(schedule.period) + F(s))
        return rate * max(share, F(schedule.factor))
    return rate


def step_rate(rate: float, window: int) -> float:
    """The rate of one step: of the gradients of an accumulation window the mean counts, so each
    comes in with its share.

    Args:
        rate: learning rate of a window, 0 to 1024.
        window: steps whose gradients are applied together.

    Returns:
        A float32 value, divided in float32.
    """
    return float(F(rate) / F(window))


def power(factor: np.float32, exponent: int) -> np.float32:
    """factor**exponent by repeated squaring, the lowest bit of the exponent first."""
    result = F(1)
    while exponent > 0:
        if exponent & 1:
            result = result * factor
        factor = factor * factor
        exponent >>= 1
    return result


def cos_quarter(s: int, period: int) -> np.float32:
    """cos(pi/2 * s / period) for 0 <= s < period < 2**31. Source: Moshier, Cephes, sinf.c."""
    mirrored = s > period - s
    x = (F(period - s if mirrored else s) / F(period)) * _HALF_PI
    z = x * x
    if mirrored:
        return ((_SIN[0] * z + _SIN[1]) * z + _SIN[2]) * z * x + x
    p = ((_COS[0] * z + _COS[1]) * z + _COS[2]) * z * z
    return (p - F(0.5) * z) + F(1)
