"""Questions and answers over a line that may lose, repeat, cut and change bytes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tinytrain.errors import ToolchainError
from tinytrain.link.frames import Frame, FrameReader
from tinytrain.link.line import ByteLine, LineLost
from tinytrain.link.table import ANSWER, MESSAGES, STATUSES, Message

PATIENCE = 120.0
"""Seconds without an answer after which a board counts as gone. A training step of the largest
models takes a few seconds on the slowest boards."""

GREETING_PATIENCE = 20.0
"""The same before a board has said anything: it may still start, or be in a step, but a port that
nobody is at should not take minutes."""

_FLASH_IT = "is the program of --link on the board (make link), at 115,200 bits a second?"

_FIRST_WAIT = 0.5
_LEAST_WAIT = 0.2
_LONGEST_WAIT = 8.0

_RESTARTED = next(status.value for status in STATUSES.values() if status.name == "SESSION")
_OUT_OF_ORDER = next(status.value for status in STATUSES.values() if status.name == "ORDER")


@dataclass(frozen=True)
class Answer:
    """An answer.

    Attributes:
        status: 0, a `tt_status`, or one of `table.STATUSES`.
        fields: the members of its body; none where it was refused.
        data: what follows them.
    """

    status: int
    fields: dict[str, Any]
    data: bytes


@dataclass
class Traffic:
    """What went over the line.

    Attributes:
        questions: asked, each counted once.
        sent, received: bytes.
        again: questions that were sent once more.
        seconds: waited for answers.
    """

    questions: int = 0
    sent: int = 0
    received: int = 0
    again: int = 0
    seconds: float = 0.0


@dataclass
class LinkClient:
    """Asks the board at the other end of a line, and asks again until it answers.

    Attributes:
        line: to the board; the client closes it.
        name: of the line, for messages.
        patience: seconds without an answer after which the board counts as gone.
        least_wait: seconds after which a question is sent again, at least.
        clock: seconds, from any beginning.
        traffic: so far.
    """

    line: ByteLine
    name: str
    patience: float = PATIENCE
    least_wait: float = _LEAST_WAIT
    clock: Callable[[], float] = time.monotonic
    traffic: Traffic = field(default_factory=Traffic)

    def __post_init__(self) -> None:
        self._reader = FrameReader()
        self._waits: dict[int, float] = {}
        self._sequence = 0
        self._has_answered = False
        self._echoes = 0

    @property
    def damaged(self) -> int:
        """Frames of the board that came damaged."""
        return self._reader.damaged

    def close(self) -> None:
        """Lets others have the line."""
        self.line.close()

    def ask(self, name: str, data: bytes = b"", **fields: Any) -> Answer:
        """Asks one question and gives the answer.

        Args:
            name: of a message of `table.MESSAGES`.
            data: what follows the body, where something may.
            fields: the members of the body.

        Raises:
            ToolchainError: nobody answers, the board was reset in between, or another program
                speaks to it, too.
        """
        message = MESSAGES[name]
        if name == "hello":
            self._new_session()
        else:
            self._sequence = (self._sequence + 1) % 2**32
        question = Frame(self._sequence, message.type, 0, message.question.pack(**fields) + data)
        try:
            found = self._exchange(question)
        except LineLost as error:
            raise ToolchainError(
                f"the line '{self.name}' was lost: {error}",
                help="plug the board in again; what it learned is lost where it lost its power",
            ) from error
        return _answer(message, found)

    def _new_session(self) -> None:
        # Random, so that nothing that is still on its way belongs to this session.
        self._sequence = int.from_bytes(os.urandom(4), "little")

    def _exchange(self, question: Frame) -> Frame:
        start, wait = self.clock(), self._wait(question.type)
        greets = question.type == MESSAGES["hello"].type
        patience = min(self.patience, GREETING_PATIENCE) if greets else self.patience
        self.traffic.questions += 1
        self._send(question)
        asked, is_first = start, True
        while True:
            now = self.clock()
            if now - start > patience:
                raise self._silent()
            if now - asked >= wait:
                # It may be slow: the next question of this type waits longer, too.
                wait, asked = min(2 * wait, _LONGEST_WAIT), now
                self._waits[question.type] = wait
                is_first = False
                self.traffic.again += 1
                self._send(question)
            for frame in self._frames(max(asked + wait - now, 0.001)):
                self._echoes += frame == question
                if self._is_answer(frame, question):
                    self._has_answered = True
                    took = self.clock() - start
                    if is_first:
                        self._waits[question.type] = min(3 * took, _LONGEST_WAIT)
                    self.traffic.seconds += took
                    return frame

    def _is_answer(self, frame: Frame, question: Frame) -> bool:
        if frame.sequence != question.sequence or frame.type != question.type + ANSWER:
            return False  # of a question that was asked twice, or an echo
        if frame.status == _RESTARTED:
            raise ToolchainError(
                f"the board at '{self.name}' was reset while it was asked: what it learned is lost",
                help="see that its supply holds, and begin again",
            )
        if frame.status == _OUT_OF_ORDER:
            raise ToolchainError(
                f"another program speaks to the board at '{self.name}', too",
                help="end it, and begin again",
            )
        return True

    def _wait(self, kind: int) -> float:
        """Seconds before a question is sent again: longer than the one before it took."""
        return max(self.least_wait, self._waits.get(kind, _FIRST_WAIT))

    def _send(self, question: Frame) -> None:
        data = question.encoded()
        self.traffic.sent += len(data)
        self.line.write(data)

    def _frames(self, seconds: float) -> list[Frame]:
        data = self.line.read(seconds)
        self.traffic.received += len(data)
        return list(self._reader.frames(data))

    def _silent(self) -> ToolchainError:
        if self._has_answered:
            return ToolchainError(
                f"the board at '{self.name}' stopped answering",
                help="it may hang or have lost its power: reset it and begin again",
            )
        if self._echoes:
            return ToolchainError(
                f"only what is sent comes back from '{self.name}': no board is at its other end",
                help="its TX leads to its own RX, as that of loop:// does: connect them to the "
                "board's RX and TX",
            )
        if self.traffic.received:
            return ToolchainError(
                f"what comes from '{self.name}' is no answer: it is another program's, or of "
                "another rate",
                help=_FLASH_IT,
            )
        return ToolchainError(f"nothing answers at '{self.name}'", help=_FLASH_IT)


def _answer(message: Message, frame: Frame) -> Answer:
    """The answer in a frame; its members where it is long enough to have them."""
    size = message.answer.nbytes
    if message.name == "counters":  # as many rows as there is room for
        return Answer(frame.status, {}, frame.body)
    if len(frame.body) < size:
        return Answer(frame.status, {}, b"")
    return Answer(frame.status, message.answer.unpack(frame.body), frame.body[size:])
