"""The lines that main.c prints, read back."""

from __future__ import annotations

import math
import re
import struct
from collections import deque

import numpy as np

from tinytrain.errors import TinytrainError, ToolchainError, Where
from tinytrain.reference.health import Health
from tinytrain.reference.pseudo import LEFT
from tinytrain.saved_file import read_saved
from tinytrain.simulation.engine import (
    Checkpoint,
    Evaluation,
    Progress,
    RawOutcome,
    RehearsalScore,
)
from tinytrain.simulation.failures import failure_error
from tinytrain.simulation.guard import GuardCheck, check_in
from tinytrain.simulation.judged import LINE, JudgedLines
from tinytrain.simulation.protocol_health import COUNTERS, take_counters
from tinytrain.simulation.status import STATUS
from tinytrain.simulation.stream import SampleStream

_EVENT = re.compile(
    r"(?P<kind>before|step|unlabelled|replay|rehearse|follow|after) (?P<index>\d+)"
    r"(?: loss 0x(?P<loss>[0-9a-f]{8}))?"
    r"(?: prediction (?P<prediction>\d+))?"
    r"(?: squares 0x(?P<squares>[0-9a-f]{16}))?"
    r"(?: right (?P<right>\d+))?"
    r"(?: took (?P<took>\d+))?"
    r" instructions 0x(?P<instructions>[0-9a-f]{16})"
)
_CHECKPOINT = re.compile(
    r"evaluation (?P<step>\d+) correct (?P<correct>\d+) loss 0x(?P<loss>[0-9a-f]{8})"
    r" (?P<verdict>waiting|improved|stop)"
)
_REHEARSAL = re.compile(
    r"rehearsal (?P<when>before|after) correct (?P<correct>\d+) loss 0x(?P<loss>[0-9a-f]{8})"
)
_STAGES = {
    "before": "evaluate before",
    "step": "train",
    "unlabelled": "train",
    "replay": "train",
    "rehearse": "train",
    "follow": "follow",
    "after": "evaluate after",
}
_ENROLLING = {"before": "classify before", "step": "enrol", "after": "classify after"}
"""The same in a session that enrols."""

_TAIL = 12

_NOTE_STEPS = 50
"""Steps that the loss shown while training is the mean of: at batch 1 a single one says little."""


class ProtocolReader:
    """Collects an outcome from lines, and turns a bad end into an error.

    Args:
        stream: what the firmware was given.
        progress: told of each event as its line arrives.
    """

    def __init__(self, stream: SampleStream, progress: Progress) -> None:
        self._stream = stream
        self._progress = progress
        self._events: dict[str, list[dict[str, str | None]]] = {kind: [] for kind in _STAGES}
        self._tail: deque[str] = deque(maxlen=_TAIL)
        self._losses: deque[float] = deque(maxlen=_NOTE_STEPS)
        self._right = dict.fromkeys(_STAGES, 0)
        self._failure: tuple[str, int] | None = None
        self._checkpoints: list[Checkpoint] = []
        self._between: list[int] = []
        self._guard: list[GuardCheck] = []
        self._recall: list[float] = []
        self._rehearsal: dict[str, RehearsalScore] = {}
        self._step_count = stream.step_count
        self._stack_used: int | None = None
        self._health: Health | None = None
        self._judged = JudgedLines(stream)
        self._done = False

    def line(self, text: str) -> None:
        """Take one line, without its line end; a line of another kind is kept for the error."""
        self._tail.append(text)
        if event := _EVENT.fullmatch(text):
            self._take_event(event.groupdict())
        elif match := re.fullmatch(r"between (\d+)(?: prediction (\d+))?", text):
            self._between += [int(match[2])] if match[2] else []
            note = f"evaluating {int(match[1]) + 1}/{self._stream.eval_count}"
            done = len(self._events["step"]) + len(self._events["unlabelled"])
            self._progress("train", done, self._stream.step_count, note)
        elif match := _CHECKPOINT.fullmatch(text):
            self._take_checkpoint(match)
        elif check := check_in(text):
            self._guard.append(check)
        elif match := re.fullmatch(r"recall \d+ 0x([0-9a-f]{8})", text):
            self._recall.append(_float32(match[1]))
        elif match := _REHEARSAL.fullmatch(text):
            score = RehearsalScore(
                int(match["correct"]), _float32(match["loss"]), tuple(self._recall)
            )
            self._rehearsal[match["when"]], self._recall = score, []
        elif match := LINE.fullmatch(text):
            self._take_judged(match)
        elif match := re.fullmatch(r"error (\S+) (\d+)", text):
            self._failure = match[1], int(match[2])
        elif match := re.fullmatch(r"stack (\d+)", text):
            self._stack_used = int(match[1])
        elif match := re.fullmatch(r"health steps (\d+) skipped (\d+)", text):
            self._health = Health(int(match[1]), int(match[2]))
        elif self._health is not None and (match := COUNTERS.fullmatch(text)):
            take_counters(self._health, match)
        elif text == "done":
            self._done = True

    def failed(self, what: str) -> TinytrainError:
        """The error for a run that ended badly, with the last lines that it printed.

        What the firmware said itself comes before `what` was seen from outside.
        """
        if self._failure is not None:
            what, status = self._failure
            name = STATUS[status] if status < len(STATUS) else f"status {status}"
            return failure_error(what, name, self._stream.learning_rate)
        detail = "\n".join(self._tail) or "(it printed nothing)"
        return ToolchainError(what, detail=f"its last lines:\n{detail}")

    def outcome(self, saved: bytes) -> RawOutcome:
        """The collected outcome, once the firmware has ended well.

        Raises:
            ToolchainError: lines are missing.
        """
        judged = self._events["unlabelled"]
        steps = [event for event in self._events["step"] + judged if event["loss"] is not None]
        are_there = all(len(self._events[kind]) == self._count(kind) for kind in _STAGES)
        if not (self._done and are_there and self._judged.is_whole):
            raise self.failed("the firmware ended before its work was done")
        follows = self._events["follow"]
        evaluations = self._events["before"] + self._events["after"]
        watching, scoring = self._judged.instructions()
        return RawOutcome(
            losses=np.array([_float32(event["loss"]) for event in steps], dtype=np.float32),
            predictions=_predictions(steps + follows),
            before=_evaluation(self._events["before"]),
            after=_evaluation(self._events["after"]),
            weights=read_saved(saved, Where("parameters_out.bin")).weights,
            saved=saved,
            step_instructions=_instructions(self._events["step"]) + watching,
            replay_instructions=_instructions(self._events["replay"]),
            rehearsal_instructions=_instructions(self._events["rehearse"]),
            rehearsal_before=self._rehearsal.get("before"),
            rehearsal_after=self._rehearsal.get("after"),
            infer_instructions=_instructions(evaluations) + scoring,
            stack_used=self._stack_used or None,
            checkpoints=tuple(self._checkpoints),
            guard_checks=tuple(self._guard),
            health=self._health,
            pseudo_labels=tuple(int(event["took"] or LEFT) for event in judged),
            unlabelled_instructions=_instructions(judged),
            followed=len(follows),
            follow_instructions=_instructions(follows),
            judged=self._judged.arrays(),
        )

    def _take_checkpoint(self, found: re.Match[str]) -> None:
        step, correct = int(found["step"]), int(found["correct"])
        predictions, self._between = tuple(self._between), []
        point = Checkpoint(step, correct, _float32(found["loss"]), found["verdict"], predictions)
        self._checkpoints.append(point)
        note = f"step {step}: loss {point.loss:.4f}"
        if self._stream.train.spec.classes:
            note += f", accuracy {correct / self._stream.judged_count:.1%}"
        if point.verdict == "stop":
            self._step_count = step
        if point.verdict != "waiting":
            note += f", {point.verdict}"
        total = self._stream.step_count // self._stream.evaluate_every
        self._progress("evaluate", len(self._checkpoints), total, note)

    def _take_event(self, event: dict[str, str | None]) -> None:
        kind = str(event["kind"])
        seen = self._events[kind]
        if event["index"] != str(len(seen)):
            raise self.failed(f"the firmware printed event '{kind} {event['index']}' out of order")
        seen.append(event)
        if kind not in ("replay", "rehearse"):  # the stage is that of the step which it follows
            note = self._note(kind, len(seen) - 1, event)
            stage = _STAGES[kind]
            if self._stream.enrols:
                stage, note = _ENROLLING[kind], "" if kind == "step" else note
            self._progress(stage, len(seen), self._count(kind), note)

    def _take_judged(self, line: re.Match[str]) -> None:
        found = self._judged.take(line)
        if found is None:
            raise self.failed(f"the firmware printed '{line[0]}' out of order")
        self._progress(*found, "")

    def _count(self, kind: str) -> int:
        """Events of a kind in a whole session."""
        if self._stream.watches:
            return 0
        if kind == "replay":
            return self._step_count * (self._stream.replay_steps or 0)
        if kind == "rehearse":
            found = self._events["unlabelled"]
            behind = sum(event["took"] is not None for event in found)
            steps = behind if self._stream.unlabelled else self._step_count
            return steps * (self._stream.rehearsal_steps or 0)
        if kind in ("step", "follow", "unlabelled"):
            is_there = self._is_of_session(kind)
            return self._step_count if is_there else 0
        return self._stream.eval_count

    def _is_of_session(self, kind: str) -> bool:
        """Whether the samples of training are events of this kind."""
        if self._stream.follows:
            return kind == "follow"
        return kind == ("unlabelled" if self._stream.unlabelled else "step")

    def _note(self, kind: str, index: int, event: dict[str, str | None]) -> str:
        """The mean of the latest losses, or the accuracy so far; nothing for a regression's."""
        if event["loss"] is not None:
            loss = _float32(event["loss"])
            if math.isfinite(loss):
                self._losses.append(loss)
            # Before the first loss that is finite the mean is none.
            return f"loss {sum(self._losses) / (len(self._losses) or math.nan):.4f}"
        if kind in ("follow", "unlabelled"):
            return ""
        if index >= self._stream.judged_count:
            return "samples of the old task"
        if self._stream.evaluation is None or event["prediction"] is None:
            return self._share_note(kind, index, event["right"])
        label = self._stream.evaluation.targets(slice(index, index + 1))[0]
        self._right[kind] += int(event["prediction"]) == label
        return f"accuracy {self._right[kind] / (index + 1):.1%}"

    def _share_note(self, kind: str, index: int, right: str | None) -> str:
        if right is None:
            return ""
        self._right[kind] += int(right)
        parts = (index + 1) * self._stream.train.spec.target_size
        return f"accuracy {self._right[kind] / parts:.1%}"


def _float32(bits: str | None) -> float:
    return float(struct.unpack(">f", bytes.fromhex(bits or "7fc00000"))[0])


def _instructions(events: list[dict[str, str | None]]) -> tuple[int, ...]:
    return tuple(int(event["instructions"] or "0", 16) for event in events)


def _predictions(events: list[dict[str, str | None]]) -> tuple[int, ...]:
    return tuple(int(event["prediction"]) for event in events if event["prediction"] is not None)


def _evaluation(events: list[dict[str, str | None]]) -> Evaluation:
    squares = (event["squares"] for event in events)
    return Evaluation(
        predictions=_predictions(events),
        right=tuple(int(event["right"]) for event in events if event["right"] is not None),
        squares=tuple(
            float(struct.unpack(">d", bytes.fromhex(bits))[0]) for bits in squares if bits
        ),
    )
