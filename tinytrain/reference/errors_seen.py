"""Errors that a guard has seen, and whether they rose: docs/arithmetic.md section 14."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

F = np.float32
ZERO = F(0)


@dataclass
class Sums:
    """Of errors: how many, their sum and that of their squares, float32 values."""

    count: np.float32 = ZERO
    sum: np.float32 = ZERO
    squares: np.float32 = ZERO

    def add(self, error: np.float32) -> None:
        """One more."""
        self.count = F(self.count + F(1))
        self.sum = F(self.sum + error)
        self.squares = F(self.squares + F(error * error))

    @property
    def mean(self) -> float:
        """0 without any."""
        return float(F(self.sum / self.count)) if self.count > 0 else 0.0

    def after(self, latest: Sums) -> Sums:
        """What was usual before, together with the latest."""
        kept = F(0.875)
        return Sums(
            F(F(kept * self.count) + latest.count),
            F(F(kept * self.sum) + latest.sum),
            F(F(kept * self.squares) + latest.squares),
        )


def is_worse(before: Sums, now: Sums, square: np.float32) -> bool:
    """Whether errors became larger, by more than the root of `square` standard errors."""
    if before.count == 0 or now.count == 0:
        return False
    old_mean, old = _estimate(before)
    mean, found = _estimate(now)
    rise = F(mean - old_mean)
    return bool(rise > 0 and F(rise * rise) > F(square * F(old + found)))


def _estimate(of: Sums) -> tuple[np.float32, np.float32]:
    mean = F(of.sum / of.count)
    variance = F(F(of.squares / of.count) - F(mean * mean))
    return mean, F(variance / of.count) if variance > 0 else ZERO


@dataclass
class ClassErrors:
    """Of one class: errors on the samples kept apart, in this check and in the best; and how many
    new samples came since the last check."""

    kept: Sums = field(default_factory=Sums)
    best: Sums = field(default_factory=Sums)
    came: int = 0

    def is_worse(self, square: np.float32) -> bool:
        """Whether errors rose, with one right and one wrong sample more (Laplace's rule of
        succession): of a class there are few, and their own spread says too little of them."""
        return is_worse(_smoothed(self.best), _smoothed(self.kept), square)


def _smoothed(of: Sums) -> Sums:
    count = F(of.count + F(2)) if of.count > 0 else ZERO
    return Sums(count, F(of.sum + F(1)), F(of.squares + F(1)))
