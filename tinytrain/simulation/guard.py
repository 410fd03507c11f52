"""What a guard did in a session, and why."""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from tinytrain.naming import advice
from tinytrain.reference.guard import ACTIONS, REASONS


@dataclass(frozen=True)
class GuardCheck:
    """A look of the guard at the model.

    Attributes:
        step: training steps on new samples before it.
        action: "waited", "saved", "restored" or "stopped".
        reason: of a restore or a stop; "none" otherwise.
        kept: mean error on the samples that are kept apart, float32; a share for a classification,
            else a loss; 0 without any.
        best: the same of the best state.
        stream: mean error on the new samples since the last check, before the step on each.
        factor: on the learning rate, from then on.
        is_unlike: whether new samples since the last check were predicted worse, beyond chance,
            than the best state predicts those kept apart.
        instructions: of the looks at all samples kept apart and of what the check then does, with
            what its store took; 0 where nothing counts them.
    """

    step: int
    action: str
    reason: str
    kept: float
    best: float
    stream: float
    factor: float
    instructions: int = 0
    is_unlike: bool = False


_CHECK = re.compile(
    r"guard (?P<step>\d+) (?P<action>[0-3]) (?P<reason>[0-6]) (?P<unlike>[01])"
    r"(?P<figures>(?: 0x[0-9a-f]{8}){4})(?: instructions 0x(?P<instructions>[0-9a-f]{16}))?"
)


def check_in(line: str) -> GuardCheck | None:
    """The check that a line of main.c tells of; None for another line."""
    found = _CHECK.fullmatch(line)
    if found is None:
        return None
    words = bytes.fromhex(found["figures"].replace(" 0x", ""))
    action, reason = ACTIONS[int(found["action"])], REASONS[int(found["reason"])]
    kept, best, stream, factor = struct.unpack(">4f", words)
    count = int(found["instructions"] or "0", 16)
    figures = kept, best, stream, factor
    is_unlike = found["unlike"] == "1"
    return GuardCheck(int(found["step"]), action, reason, *figures, count, is_unlike)


@dataclass(frozen=True)
class GuardSummary:
    """What a guard did in a session.

    Attributes:
        checks, saves, restores: how many.
        reasons: how many restores for each reason that there was.
        factor: on the learning rate, in the end.
        is_stopped: whether nothing is learned any more.
        undone: the checks that restored the state, in order.
        conflict: of these the last one that found the samples kept apart worse where new samples
            are unlike them, if most of `undone`, two at least, did: the guard undoes what the new
            samples teach.
        instructions_per_check: the mean; counted on an emulator with icount only.
    """

    checks: int
    saves: int
    restores: int
    reasons: Mapping[str, int]
    factor: float
    is_stopped: bool
    undone: tuple[GuardCheck, ...]
    conflict: GuardCheck | None
    instructions_per_check: int | None

    def sentences(self) -> Iterator[str]:
        """What a person is told."""
        yield from advice(self._sentences())

    def _sentences(self) -> Iterator[str]:
        yield f"{self.checks} checks, of which {self.saves} saved the state"
        for check in self.undone:
            yield f"after step {check.step:,} the saved state came back: {_SAID[check.reason]}"
        if self.conflict is not None:
            yield (
                "new samples were predicted far worse than those kept apart are by the best state "
                f"(error {self.conflict.stream:.3g} to {self.conflict.best:.3g}): they are of "
                "another world, and learning it counts as harm where too few of it are kept "
                "apart; or their labels are wrong, or the rate is too large. Keep labelled samples "
                "of both worlds apart (--kept)"
            )
        if self.is_stopped:
            yield "nothing is learned any more; NAME_guard_reset of the firmware lets it go on"
        elif self.factor < 1.0:
            yield f"the learning rate is {self.factor:g} of what was set"
        if self.instructions_per_check is not None:
            yield f"a check takes {self.instructions_per_check:,} instructions"


_SAID = {
    "loss": "a loss was NaN or infinite",
    "norm": "the root mean square of the weights more than doubled",
    "ends": "weights came to the ends of their range",
    "kept": "the samples kept apart are predicted worse",
    "class": "a class of the samples kept apart fades",
    "stream": "new samples are predicted worse, check after check",
}


def guard_summary(checks: Sequence[GuardCheck]) -> GuardSummary | None:
    """Of a session's checks; None where there was none."""
    if not checks:
        return None
    counted = sum(check.instructions for check in checks)
    undone = tuple(check for check in checks if check.reason != "none")
    torn = [check for check in undone if check.is_unlike and check.reason in ("kept", "class")]
    return GuardSummary(
        checks=len(checks),
        saves=sum(check.action == "saved" for check in checks),
        restores=len(undone),
        reasons=dict(Counter(check.reason for check in undone)),
        factor=checks[-1].factor,
        is_stopped=any(check.action == "stopped" for check in checks),
        undone=undone,
        conflict=torn[-1] if len(torn) > 1 and 2 * len(torn) > len(undone) else None,
        instructions_per_check=round(counted / len(checks)) if counted else None,
    )
