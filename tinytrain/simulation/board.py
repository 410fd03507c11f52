"""Sessions on a board at the end of a serial line: the model in its own place, step by step."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from tinytrain.errors import ToolchainError
from tinytrain.link.board import Board, Ran, open_board
from tinytrain.losses import SampleTarget
from tinytrain.reference.class_health import ClassCounts
from tinytrain.reference.health import GradientHealth, Health, UpdateHealth
from tinytrain.reference.metrics import EarlyStop, Metrics
from tinytrain.saved_file import read_saved
from tinytrain.simulation.board_checks import (
    check_link,
    check_locked,
    check_model,
    check_stream,
)
from tinytrain.simulation.engine import (
    Checkpoint,
    Evaluation,
    Progress,
    RawOutcome,
    RehearsalScore,
)
from tinytrain.simulation.folder import GeneratedFolder
from tinytrain.simulation.stream import SampleStream, sample_bytes

_NOTE_STEPS = 50
"""Steps that the loss shown while training is the mean of."""

_GRADIENTS, _UPDATES, _CLASSES = range(3)


@dataclass(frozen=True)
class BoardEngine:
    """Runs sessions on a board; an `Engine`.

    Attributes:
        folder: a checked folder; the board runs the program that it was compiled to with --link.
        port: serial port of the board.
    """

    folder: GeneratedFolder
    port: str

    def run(self, stream: SampleStream, progress: Progress) -> RawOutcome:
        """Begin at the factory state, then run a session; see `Engine`.

        Raises:
            UsageError: the port cannot be opened, or the session needs what a board does not do.
            ModelError: the board holds another model.
            ToolchainError: the board does not answer, or stops.
        """
        check_link(self.folder)
        check_stream(stream)
        with closing(open_board(self.port)) as board:
            check_model(board, self.folder)
            if board.lock is not None:
                check_locked(stream)
            return _BoardSession(self.folder, board, stream, progress).run()


class _BoardSession:
    """One session, in the order in which `main.c` has it."""

    def __init__(
        self, folder: GeneratedFolder, board: Board, stream: SampleStream, progress: Progress
    ) -> None:
        self._folder = folder
        self._board = board
        self._stream = stream
        self._progress = progress
        self._ticks: list[int] = []
        self._infer_ticks: list[int] = []
        self._losses: list[float] = []
        self._predictions: list[int] = []
        self._followed = 0

    def run(self) -> RawOutcome:
        board, stream = self._board, self._stream
        self._begin()
        before, of_set = self._evaluate("before"), self._rehearsal()
        for sample in _samples(stream.fill_samples()):
            board.run("remember", sample)
        checkpoints = list(self._follow() if stream.follows else self._train())
        after, of_set_after = self._evaluate("after"), self._rehearsal()
        saved = board.save() if "snapshot" in board.hello.messages else stream.parameters_in
        assert saved is not None  # what a locked board has taken is what it holds
        return RawOutcome(
            losses=np.array(self._losses, np.float32),
            predictions=tuple(self._predictions),
            before=before,
            after=after,
            weights=read_saved(saved).weights,
            saved=saved,
            followed=self._followed,
            rehearsal_before=of_set,
            rehearsal_after=of_set_after,
            stack_used=int(board.health()["stack_used"]) or None,
            checkpoints=tuple(checkpoints),
            health=self._health(),
            step_seconds=self._seconds(self._ticks),
            infer_seconds=self._seconds(self._infer_ticks),
        )

    def _begin(self) -> None:
        """At the factory state, or at the file that the session starts from."""
        board, stream = self._board, self._stream
        if "self_test" in board.hello.messages and not board.self_test():
            raise ToolchainError(
                "the board computes something else than this machine: its test of itself failed",
                help="build the folder's program with the flags of its Makefile",
            )
        if "reset" in board.hello.messages:
            board.reset()
        if stream.parameters_in is not None:
            board.load(stream.parameters_in + stream.signature, self._sending)
        if stream.learning_rate is not None and "rate" in board.hello.messages:
            board.set_rate(float(np.float32(stream.learning_rate)))

    def _rehearsal(self) -> RehearsalScore | None:
        """On the rehearsal set, as the model itself finds it; None without one."""
        if self._stream.rehearsal_steps is None:
            return None
        found = self._board.rehearsal(self._stream.train.spec.classes)
        correct, loss, recall = found
        return RehearsalScore(correct, loss, tuple(recall.tolist()))

    def _sending(self, done: int, whole: int) -> None:
        self._progress("prepare", done, whole, "")

    def _seconds(self, ticks: list[int]) -> tuple[float, ...]:
        found = map(self._board.seconds, ticks)
        return tuple(seconds for seconds in found if seconds is not None)

    def _evaluate(self, when: str) -> Evaluation:
        spec = self._stream.train.spec
        predictions, squares, right = [], [], []
        for done, (x, target) in enumerate(self._stream.eval_samples(), 1):
            found = self._board.run("infer", x.tobytes())
            self._infer_ticks.append(found.ticks)
            if spec.wants is SampleTarget.LABEL:
                predictions.append(found.prediction)
            elif spec.wants is SampleTarget.VALUES:
                squares.append(_squares(self._board.outputs(), target))
            else:
                right.append(_right(self._board.outputs(), target, spec.pixel_classes))
            self._progress(f"evaluate {when}", done, self._stream.eval_count, "")
        return Evaluation(tuple(predictions), tuple(squares), tuple(right))

    def _follow(self) -> tuple[Checkpoint, ...]:
        """Follows drift over the samples; nothing is evaluated between them."""
        for x, _ in self._stream.train_samples():
            found = self._board.run("follow", x.tobytes())
            if self._stream.train.spec.classes:
                self._predictions.append(found.prediction)
            self._followed += 1
            self._progress("follow", self._followed, self._stream.step_count, "")
        return ()

    def _train(self) -> Iterator[Checkpoint]:
        stream, remembers = self._stream, self._stream.replay_steps is not None
        early_stop, shown = EarlyStop(stream.patience), deque[float](maxlen=_NOTE_STEPS)
        for done, sample in enumerate(_samples(stream.train_samples()), 1):
            found = self._board.run("learn" if remembers else "train", sample)
            self._take(found)
            for _ in range(stream.replay_steps or 0):
                self._board.step("replay")
            for _ in range(stream.rehearsal_steps or 0):
                self._board.step("rehearse")
            if np.isfinite(found.loss):
                shown.append(found.loss)
            note = f"loss {sum(shown) / len(shown):.4f}" if shown else ""
            self._progress("train", done, stream.step_count, note)
            if stream.evaluate_every and done % stream.evaluate_every == 0:
                point = self._checkpoint(done, early_stop)
                yield point
                if point.verdict == "stop":
                    return

    def _take(self, found: Ran) -> None:
        self._losses.append(found.loss)
        self._ticks.append(found.ticks)
        if self._stream.train.spec.classes:
            self._predictions.append(found.prediction)

    def _checkpoint(self, step: int, early_stop: EarlyStop) -> Checkpoint:
        """As `evaluate_between` of main.c adds it up."""
        stream, metrics, predictions = self._stream, Metrics(), list[int]()
        has_classes = bool(stream.train.spec.classes)
        for index, (x, target) in enumerate(stream.eval_samples()):
            found = self._board.run("evaluate", sample_bytes(x, target))
            if has_classes:
                predictions.append(found.prediction)
            if index < stream.judged_count:
                is_correct = has_classes and found.prediction == int(target)
                metrics.add(np.float32(found.loss), is_correct=is_correct)
        verdict = early_stop.add(metrics.accuracy if has_classes else -metrics.loss)
        loss = float(metrics.loss)
        return Checkpoint(step, metrics.correct, loss, verdict, tuple(predictions))

    def _health(self) -> Health | None:
        if self._folder.manifest.health is None:
            return None
        board, found = self._board, self._board.health()
        updates = board.counters(_UPDATES)
        return Health(
            steps=found["steps"],
            skipped=found["skipped"],
            gradients=[GradientHealth(*row[:3]) for row in board.counters(_GRADIENTS)],
            updates=[UpdateHealth(*row[:2]) for row in updates],
            at_end=[row[2] for row in updates],
            classes=[ClassCounts(*row) for row in board.counters(_CLASSES)],
            absent_after=found["absent_after"],
        )


def _samples(pairs: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[bytes]:
    return (sample_bytes(x, target) for x, target in pairs)


def _squares(outputs: np.ndarray, target: np.ndarray) -> float:
    """The squared errors, added up in double from the first element to the last."""
    difference = (outputs - np.ravel(target)).astype(np.float64)
    return float(np.cumsum(difference * difference)[-1])


def _right(outputs: np.ndarray, target: np.ndarray, pixel_classes: int) -> int:
    """How many pixels or labels of a sample are right."""
    if pixel_classes:
        return int(np.sum(outputs.reshape(-1, pixel_classes).argmax(axis=1) == np.ravel(target)))
    return int(np.sum((outputs > 0) == (np.ravel(target) > 0.5)))
