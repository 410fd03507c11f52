"""When a guard saves the state and when it brings it back: "The guard" in docs/arithmetic.md.

Float32 throughout, in the order of `runtime_c/src/tt_guard.c`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from tinytrain.saved_file import layout

F = np.float32
ZERO = F(0)

REASONS = ("none", "loss", "norm", "ends", "kept", "class", "stream")
"""Why a state is brought back: `tt_guard_reason` by value."""

ACTIONS = ("waited", "saved", "restored", "stopped")
"""What a check does: `tt_guard_action` by value."""

ENDS_SHARE = 4
"""One element in so many of a trained tensor may come to the ends of its range."""

FEWEST_ELEMENTS = 64
"""Of a trained tensor whose ends are looked at."""

RARE, RARER, EQUAL = F(5.41), F(9.0), F(0.25)
PATIENCE = 4
RECOVERY = 8
HALVINGS = 7
_LARGEST = F(1e9)
_WORD = 2**32 - 1
_HALF = 2**16 - 1


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


def is_worse(before: Sums, now: Sums, square: np.float32, *, is_label: bool) -> bool:
    """Whether errors became larger, by more than the root of `square` standard errors.

    Of labels one right and one wrong sample are added (Laplace's rule of succession), so that a few
    samples without an error do not look certain.
    """
    if before.count == 0 or now.count == 0:
        return False
    old_mean, old = _estimate(before, is_label=is_label)
    mean, found = _estimate(now, is_label=is_label)
    rise = F(mean - old_mean)
    return bool(rise > 0 and F(rise * rise) > F(square * F(old + found)))


def _estimate(of: Sums, *, is_label: bool) -> tuple[np.float32, np.float32]:
    more = F(is_label)
    count = F(of.count + F(F(2) * more))
    mean = F(F(of.sum + more) / count)
    variance = F(F(F(of.squares + more) / count) - F(mean * mean))
    return mean, F(variance / count) if variance > 0 else F(0)


@dataclass
class ClassErrors:
    """Samples kept apart of one class: in this check, and in the best."""

    count: int = 0
    wrong: int = 0
    best_count: int = 0
    best_wrong: int = 0

    def fades(self) -> bool:
        """Whether it is got wrong more often than in the best check."""
        before = Sums(F(self.best_count), F(self.best_wrong), F(self.best_wrong))
        now = Sums(F(self.count), F(self.wrong), F(self.wrong))
        return is_worse(before, now, RARER, is_label=True)


@dataclass
class Guard:
    """What the state of a model holds of its guard; the members are those of `tt_guard`.

    Attributes:
        class_errors: of each class; empty where the target of a sample is no label.
    """

    class_errors: list[ClassErrors] = field(default_factory=list)
    kept: Sums = field(default_factory=Sums)
    best: Sums = field(default_factory=Sums)
    new: Sums = field(default_factory=Sums)
    usual: Sums = field(default_factory=Sums)
    then: Sums = field(default_factory=Sums)
    first: Sums = field(default_factory=Sums)
    norm: np.float32 = ZERO
    steps: int = 0
    checks: int = 0
    saves: int = 0
    restores: int = 0
    counts: list[int] = field(default_factory=lambda: [0] * len(REASONS))
    halvings: int = 0
    waited: int = 0
    passed: int = 0
    is_strict: bool = False
    is_broken: bool = False
    due: int = 0
    is_stopped: bool = False

    @property
    def is_label(self) -> bool:
        """Whether the target of a sample is a label."""
        return bool(self.class_errors)

    def is_due(self, interval: int) -> bool:
        """Whether a check is due."""
        return (
            self.checks == 0
            or self.due != 0
            or self.is_broken
            or (self.steps >= interval and not self.is_stopped)
        )

    def rate(self, rate: float) -> np.float32:
        """That of a step, from what the firmware and the schedule say."""
        return F(F(rate) / F(1 << self.halvings))

    def step(self, loss: float, *, is_wrong: bool, is_again: bool) -> bool:
        """A step on a new sample, or on one of before; whether it may go on."""
        if self.due or self.is_stopped:
            return False
        self.steps = min(self.steps + 1, _WORD)
        if not np.isfinite(loss):
            self.is_broken = True
        elif not is_again:
            self.new.add(self._error(loss, is_wrong=is_wrong))
        return True

    def look(self, loss: float, label: int, *, is_wrong: bool) -> None:
        """A sample kept apart."""
        self.kept.add(self._error(loss, is_wrong=is_wrong))
        if self.is_label and self.class_errors[label].count < _HALF:
            self.class_errors[label].count += 1
            self.class_errors[label].wrong += is_wrong

    def judge(self, norm: np.float32, *, is_at_ends: bool) -> str:
        """Decide after the samples kept apart, and begin the next check.

        Returns:
            One of `ACTIONS`; `due` says why a state has to be brought back.
        """
        self.checks = min(self.checks + 1, _WORD)
        if reason := self._alarm(norm, is_at_ends=is_at_ends):
            return self._undo(reason)
        is_strange = self._worse(self.usual, self.new)
        if is_strange and self.waited > 0 and self._worse(self.new, self.first):
            self.usual = Sums()
            is_strange = False
        is_below = is_worse(self.best, self.kept, EQUAL, is_label=self.is_label)
        has_learned = self._worse(self.usual, self.then)
        if not is_strange and (not is_below or has_learned):
            return self._pass(norm, is_best=not is_below)
        return self._wait(REASONS.index("kept" if is_below else "stream"))

    def carried(self, before: Guard) -> None:
        """What a restore does not undo, from the guard that made it."""
        for name in ("checks", "saves", "restores", "halvings", "is_strict", "is_stopped"):
            setattr(self, name, getattr(before, name))
        self.counts = list(before.counts)
        self.passed = 0
        self.due = 0

    def state_bytes(self) -> bytes:
        """As a saved file has it."""
        sums = {
            f"{name}_{member}": float(getattr(getattr(self, name), member))
            for name in ("kept", "best", "new", "usual", "then", "first")
            for member in ("count", "sum", "squares")
        }
        names = ("losses", "norms", "ends", "kepts", "classes", "streams")
        head = layout("tt_guard", "tt_guard.h").pack(
            **sums,
            norm=float(self.norm),
            steps=self.steps,
            checks=self.checks,
            saves=self.saves,
            restores=self.restores,
            **dict(zip(names, self.counts[1:], strict=True)),
            halvings=self.halvings,
            waited=self.waited,
            passed=self.passed,
            is_strict=self.is_strict,
            is_broken=self.is_broken,
            is_again=0,
            is_due=self.due,
            is_stopped=self.is_stopped,
        )
        of_class = layout("tt_guard_class", "tt_guard.h")
        return head + b"".join(of_class.pack(**vars(each)) for each in self.class_errors)

    def _error(self, loss: float, *, is_wrong: bool) -> np.float32:
        if self.is_label:
            return F(is_wrong)
        return F(loss) if F(loss) < _LARGEST else _LARGEST

    def _worse(self, before: Sums, now: Sums) -> bool:
        return is_worse(before, now, RARE, is_label=self.is_label)

    def _alarm(self, norm: np.float32, *, is_at_ends: bool) -> int:
        found = {
            "loss": self.is_broken,
            "norm": self.saves > 0 and norm > F(F(F(4) * self.norm) + F(256)),
            "ends": is_at_ends,
            "kept": self._worse(self.best, self.kept),
            "class": any(each.fades() for each in self.class_errors),
        }
        return next((REASONS.index(name) for name, holds in found.items() if holds), 0)

    def _pass(self, norm: np.float32, *, is_best: bool) -> str:
        self.usual = self.usual.after(self.new)
        if is_best:
            self.best, self.then = self.kept, self.usual
            for each in self.class_errors:
                each.best_count, each.best_wrong = each.count, each.wrong
        self.norm = norm
        self.waited = 0
        self.is_strict = False
        self.saves = min(self.saves + 1, _WORD)
        self.passed += 1
        if self.passed >= RECOVERY:
            self.passed = 0
            self.halvings = max(self.halvings - 1, 0)
        self._begin()
        return "saved"

    def _undo(self, reason: int) -> str:
        self.counts[reason] = min(self.counts[reason] + 1, _WORD)
        self.restores = min(self.restores + 1, _WORD)
        self.due = reason
        self.is_strict = True
        self.passed = 0
        self.waited = 0
        self._begin()
        if self.halvings >= HALVINGS:
            self.is_stopped = True
            return "stopped"
        self.halvings += 1
        return "restored"

    def _wait(self, reason: int) -> str:
        if self.waited == 0:
            self.first = self.new
        self.waited += 1
        self.passed = 0
        if self.is_strict or self.waited >= PATIENCE:
            return self._undo(reason)
        self._begin()
        return "waited"

    def _begin(self) -> None:
        self.kept, self.new = Sums(), Sums()
        self.steps = 0
        self.is_broken = False
        for each in self.class_errors:
            each.count = each.wrong = 0


def mean_square(weights: Sequence[np.ndarray]) -> np.float32:
    """Of all s8 weights that train, as integers."""
    total = sum(int(np.sum(np.square(data.astype(np.int64)))) for data in weights)
    return F(F(total) / F(sum(data.size for data in weights) or 1))
