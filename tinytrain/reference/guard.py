"""When a guard saves the state and when it brings it back: docs/arithmetic.md section 14.

Float32 throughout, in the order of `runtime_c/src/tt_guard.c`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from tinytrain.ir.graph import Value
from tinytrain.ir.trained import TrainedTensor
from tinytrain.reference.errors_seen import ClassErrors, Sums, is_worse
from tinytrain.reference.health import ends_of
from tinytrain.reference.loss import exp
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

RARE, RARER, EQUAL = F(5.41), F(9.0), F(0.0625)
PATIENCE = 3
RECOVERY = 8
HALVINGS = 7
_LARGEST = F(1e9)
_WORD = 2**32 - 1
_HALF = 2**16 - 1


@dataclass
class Guard:
    """What the state of a model holds of its guard; the members are those of `tt_guard`.

    Attributes:
        is_share: whether a loss is minus the logarithm of a probability.
        class_errors: of each class; empty where the target of a sample is no label.
    """

    is_share: bool
    class_errors: list[ClassErrors] = field(default_factory=list)
    kept: Sums = field(default_factory=Sums)
    best: Sums = field(default_factory=Sums)
    fresh: Sums = field(default_factory=Sums)
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

    def is_due(self, interval: int) -> bool:
        """Whether a check is due."""
        return (
            self.checks == 0
            or self.due != 0
            or self.is_broken
            or (self.steps >= interval and not self.is_stopped)
        )

    def rate(self, rate: float | np.float32) -> np.float32:
        """That of a step, from what the firmware and the schedule say."""
        return F(F(rate) / F(1 << self.halvings))

    def step(self, loss: float, label: int, *, is_again: bool) -> bool:
        """A step on a new sample, or on one of before; whether it may go on."""
        if self.due or self.is_stopped:
            return False
        self.steps = min(self.steps + 1, _WORD)
        if not np.isfinite(loss):
            self.is_broken = True
        elif not is_again:
            self.fresh.add(self._error(loss))
            if self.class_errors:
                of = self.class_errors[label]
                of.came = min(of.came + 1, _HALF)
        return True

    def look(self, loss: float, label: int) -> None:
        """A sample kept apart."""
        error = self._error(loss)
        self.kept.add(error)
        if self.class_errors:
            self.class_errors[label].kept.add(error)

    def judge(self, norm: np.float32, *, is_at_ends: bool) -> str:
        """Decide after the samples kept apart, and begin the next check.

        Returns:
            One of `ACTIONS`; `due` says why a state has to be brought back.
        """
        self.checks = min(self.checks + 1, _WORD)
        if reason := self._alarm(norm, is_at_ends=is_at_ends):
            return self._undo(reason)
        is_strange = is_worse(self.usual, self.fresh, RARE)
        if is_strange and self.waited > 0 and is_worse(self.fresh, self.first, RARE):
            self.usual = Sums()
            is_strange = False
        # A check that looked at nothing knows nothing.
        is_blind = self.best.count > 0 and self.kept.count == 0
        is_below = is_blind or is_worse(self.best, self.kept, EQUAL) or self._is_a_class_worse(RARE)
        has_learned = is_worse(self.usual, self.then, RARE) and self._is_varied()
        if not is_strange and (not is_below or has_learned):
            is_best = bool(self.kept.count > 0 and not is_worse(self.best, self.kept, ZERO))
            if is_best or self.kept.count == 0 or not self._is_one_label():
                return self._pass(norm, is_best=is_best)
            if self.is_strict:
                return self._undo(REASONS.index("kept"))
            self._begin()
            return "waited"
        below = "class" if self._is_a_class_worse(RARE) else "kept"
        return self._wait(REASONS.index(below if is_below else "stream"))

    def is_unlike(self) -> bool:
        """Whether new samples since the last check were predicted worse than those kept apart are
        by the best state: they are of another world, or their labels are wrong, or the rate is too
        large.
        """
        return is_worse(self.best, self.fresh, RARE)

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
            for name in ("kept", "best", "fresh", "usual", "then", "first")
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
        classes = (
            of_class.pack(
                **{
                    f"{name}_{member}": float(getattr(sums, member))
                    for name, sums in (("kept", each.kept), ("best", each.best))
                    for member in ("count", "sum", "squares")
                },
                came=each.came,
                unused=0,
            )
            for each in self.class_errors
        )
        return head + b"".join(classes)

    def _error(self, loss: float) -> np.float32:
        if self.is_share:
            known = F(loss) < F(87)
            return F(F(1) - exp(np.array([min(-F(loss), ZERO)], F))[0]) if known else F(1)
        return F(loss) if F(loss) < _LARGEST else _LARGEST

    def _is_a_class_worse(self, square: np.float32) -> bool:
        return any(each.is_worse(square) for each in self.class_errors)

    def _is_varied(self) -> bool:
        """Whether no label is more than half way from its share among all to being the only one."""
        came = [each.came for each in self.class_errors]
        return not came or 2 * max(came) * len(came) <= sum(came) * (len(came) + 1)

    def _is_one_label(self) -> bool:
        """Whether all labels since the last check are the same."""
        came = [each.came for each in self.class_errors]
        return sum(came) > 0 and max(came) == sum(came)

    def _alarm(self, norm: np.float32, *, is_at_ends: bool) -> int:
        found = {
            "loss": self.is_broken,
            "norm": self.saves > 0 and norm > F(F(F(4) * self.norm) + F(256)),
            "ends": is_at_ends,
            "kept": is_worse(self.best, self.kept, RARE),
            "class": is_worse(self.best, self.kept, ZERO) and self._is_a_class_worse(RARER),
        }
        return next((REASONS.index(name) for name, holds in found.items() if holds), 0)

    def _pass(self, norm: np.float32, *, is_best: bool) -> str:
        self.usual = self.usual.after(self.fresh)
        if is_best:
            self.best, self.then = self.kept, self.usual
            for each in self.class_errors:
                each.best = each.kept
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
            self.first = self.fresh
        self.waited += 1
        self.passed = 0
        if self.is_strict or self.waited >= PATIENCE:
            return self._undo(reason)
        self._begin()
        return "waited"

    def _begin(self) -> None:
        self.kept, self.fresh = Sums(), Sums()
        self.steps = 0
        self.is_broken = False
        for each in self.class_errors:
            each.kept, each.came = Sums(), 0


def mean_square(weights: Sequence[np.ndarray]) -> np.float32:
    """Of all s8 weights that train, as integers."""
    total = sum(int(np.sum(np.square(data.astype(np.int64)))) for data in weights)
    return F(F(total) / F(sum(data.size for data in weights) or 1))


def most_ends(tensor: TrainedTensor, compiled: Mapping[Value, np.ndarray]) -> int:
    """How many elements of a trained tensor may stand at the ends of their range.

    Args:
        compiled: parameters of the graph, as compiled.
    """
    return int(ends_of(tensor, compiled)) + tensor.parameter.type.size // ENDS_SHARE
