"""What runs a session: the interface shared by host, emulator and reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np

from tinytrain.reference.health import Health
from tinytrain.simulation.guard import GuardCheck
from tinytrain.simulation.stream import SampleStream

Progress = Callable[[str, int, int, str], None]
"""Called with a stage ("build", "prepare", "evaluate before", "train", "follow", "watch",
"evaluate", "evaluate after"; and where samples are enrolled "classify before", "enrol", "classify
after"), how many of its items are done, how many there are, and a note such as "loss 0.123"."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One pass over the evaluation samples, in their order.

    Attributes:
        predictions: the predicted class of each; empty where no label is predicted.
        squares: the sum of the squared errors of each output, added up in double from the first
            element to the last; empty for a classification.
        right: of a label for each pixel, or several at once, how many of a sample's are predicted
            right; empty for anything else.
    """

    predictions: tuple[int, ...] = ()
    squares: tuple[float, ...] = ()
    right: tuple[int, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """An evaluation between steps, as the model's own functions added it up.

    Attributes:
        step: training steps before it.
        correct: samples whose prediction was their label; 0 for a regression.
        loss: the mean, a float32 value.
        verdict: "improved", "waiting" or "stop"; training ends after the last.
        predictions: the predicted class of each sample; empty for a regression.
    """

    step: int
    correct: int
    loss: float
    verdict: str
    predictions: tuple[int, ...] = ()


@dataclass(frozen=True)
class RehearsalScore:
    """What the model itself found on its rehearsal set.

    Attributes:
        correct: samples whose prediction was their label; 0 where nothing is a label.
        loss: the mean, a float32 value.
        recall: of each class the share of its samples that were predicted right, float32 values; -1
            for a class that the set lacks. Empty where nothing is a label.
    """

    correct: int
    loss: float
    recall: tuple[float, ...] = ()


@dataclass(frozen=True, eq=False)
class RawOutcome:
    """What an engine observed.

    Attributes:
        losses: of each training step, float32 [steps], as the model computed it; fewer than
            planned where a checkpoint ended training.
        predictions: the class predicted in each training step, or for each sample that was
            followed; empty for a regression.
        before, after: evaluation before the first and after the last step.
        weights: all trainable parameters after the last step, as in a saved file.
        saved: the whole saved file, with the samples of a replay buffer behind it; None if the
            engine writes none. Of the reference what lies between header and checksum.
        samples: of the reference what the file of samples holds in front of them.
        step_instructions: of each training step; empty where nothing counts them.
        replay_instructions: of each step on a remembered sample; likewise.
        rehearsal_instructions: of each step on a sample of the rehearsal set; likewise.
        infer_instructions: of each inference of the evaluations; likewise.
        step_seconds, infer_seconds: of each training step and inference by a board's clock; empty
            where none measures them.
        stack_used: deepest stack in bytes; None where it is not measured.
        checkpoints: evaluations between steps, in order.
        health: counters of this run; None where the model has none.
        rehearsal_before, rehearsal_after: on the rehearsal set, before the first and after the last
            step; None without one.
        judged: of a session that watches what the model said of each sample, an array of
            `judged.JUDGED` for each of "before", "watch" and "after"; empty for any other.
        guard_checks: in order; empty where the model has no guard.
        kept_bytes: of the frozen-activation cache; 0 where every pass computed frozen layers.
        pseudo_labels: of each sample of a session without labels, in order; -1 for one that was
            left alone. `losses` and `predictions` are then of the others.
        unlabelled_instructions: of each of these samples; empty where nothing counts them.
        followed: samples over which drift was followed.
        follow_instructions: of each of them; empty where nothing counts them.
    """

    losses: np.ndarray
    predictions: tuple[int, ...]
    before: Evaluation
    after: Evaluation
    weights: bytes
    saved: bytes | None = None
    samples: bytes = b""
    step_instructions: tuple[int, ...] = ()
    replay_instructions: tuple[int, ...] = ()
    rehearsal_instructions: tuple[int, ...] = ()
    infer_instructions: tuple[int, ...] = ()
    step_seconds: tuple[float, ...] = ()
    infer_seconds: tuple[float, ...] = ()
    stack_used: int | None = None
    health: Health | None = None
    kept_bytes: int = 0
    pseudo_labels: tuple[int, ...] = ()
    unlabelled_instructions: tuple[int, ...] = ()
    followed: int = 0
    follow_instructions: tuple[int, ...] = ()
    checkpoints: tuple[Checkpoint, ...] = ()
    guard_checks: tuple[GuardCheck, ...] = ()
    rehearsal_before: RehearsalScore | None = None
    rehearsal_after: RehearsalScore | None = None
    judged: Mapping[str, np.ndarray] = field(default_factory=dict)

    def uncounted(self) -> RawOutcome:
        """Without instructions, of an engine whose counts are no measurement."""
        return replace(
            self,
            step_instructions=(),
            replay_instructions=(),
            rehearsal_instructions=(),
            infer_instructions=(),
            follow_instructions=(),
            guard_checks=tuple(replace(check, instructions=0) for check in self.guard_checks),
            unlabelled_instructions=(),
        )


class Engine(Protocol):
    """Runs the whole of a stream on one implementation of the model."""

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """Evaluate, train in the stream's order, evaluate again.

        Raises:
            TinytrainError: the run did not reach its end.
        """
        ...


def ignore_progress(stage: str, done: int, total: int, note: str) -> None:
    """A `Progress` that shows nothing."""
