"""What a board at the end of a line can be asked, call by call."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinytrain.errors import ToolchainError, UsageError
from tinytrain.link.client import Answer, LinkClient
from tinytrain.link.line import open_line
from tinytrain.link.lock import LOCKED, Lock, apart, check_signature
from tinytrain.link.table import MESSAGES, PROTOCOL, ROW, STATUSES
from tinytrain.saved_file import read_saved
from tinytrain.simulation.failures import failure_error
from tinytrain.simulation.status import STATUS

Told = Callable[[int, int], None]
"""Called with the bytes of a file that are over, and all of them."""

SKIPPED = ("TT_ERROR_LOSS", "TT_ERROR_STOPPED")
"""What a step says that changed nothing, and counts as one."""


@dataclass(frozen=True)
class Hello:
    """What a board says of itself.

    Attributes:
        name: of the model, its first 32 letters.
        version: of the compiler.
        model_hash: 64 hex digits.
        body: the largest body of a frame in bytes.
        input_bytes, target_bytes, output_bytes, saved_bytes, state_bytes, link_bytes: sizes.
        clock_hz: ticks of its clock in a second; 0 where it has none.
        messages: that it answers, by name.
        gradients, updates, classes: rows of counters.
        has_label: whether the target of a sample is one label.
        settings: of how it trains, `settings_crc`.
        steps: training steps that the state has seen.
    """

    name: str
    version: str
    model_hash: str
    body: int
    input_bytes: int
    target_bytes: int
    output_bytes: int
    saved_bytes: int
    state_bytes: int
    link_bytes: int
    clock_hz: int
    messages: frozenset[str]
    gradients: int
    updates: int
    classes: int
    has_label: int
    settings: int
    steps: int


@dataclass(frozen=True)
class Ran:
    """What a message that ran the model gave.

    Attributes:
        loss: before the update, a float32 value.
        prediction: index of the largest output.
        ticks: of the board's clock.
    """

    loss: float
    prediction: int
    ticks: int


class Board:
    """A board that runs the program of `compile --link`.

    Args:
        client: speaks to it.

    Raises:
        ToolchainError: nobody answers, or somebody else.
    """

    def __init__(self, client: LinkClient) -> None:
        self._client = client
        self._rate: float | None = None
        self.hello = self._greet()

    @property
    def lock(self) -> Lock | None:
        """Of its link, as it is now; None where the link is open."""
        if "signed" not in self.hello.messages:
            return None
        return Lock(**self.ask("signed", flags=0).fields)

    @property
    def client(self) -> LinkClient:
        """The line, with what went over it."""
        return self._client

    def close(self) -> None:
        """Lets others have the line."""
        self._client.close()

    def seconds(self, ticks: int) -> float | None:
        """Of so many ticks; None where the board has no clock."""
        return ticks / self.hello.clock_hz if self.hello.clock_hz else None

    def ask(self, name: str, data: bytes = b"", **fields: Any) -> Answer:
        """Asks one question.

        Raises:
            DataError: the model refuses what it is asked.
            UsageError: the link is locked.
            ToolchainError: the board refuses the question, or does not answer.
        """
        found = self._client.ask(name, data, **fields)
        if found.status in STATUSES:
            status = STATUSES[found.status]
            if status.name == "LOCKED":
                raise UsageError(
                    LOCKED,
                    help="predict, evaluate, monitor and the load of a signed file are answered",
                )
            raise ToolchainError(
                f"the board refuses the message {name.upper()}: {status.text}",
                help="compile, build and flash the folder anew, with what the session needs"
                if status.name == "UNKNOWN"
                else None,
            )
        return found

    def reset(self) -> None:
        """Back to the factory state."""
        self._done(self.ask("reset", flags=0), "reset")

    def set_rate(self, rate: float) -> float:
        """Sets the rate that steps start from; gives that of the next step."""
        self._rate = rate
        found = self.ask("rate", rate=rate)
        self._done(found, "set_learning_rate")
        return float(found.fields["rate"])

    def run(self, name: str, sample: bytes) -> Ran:
        """Sends a sample and lets the model do something with it: infer, evaluate, train, remember
        or learn.

        Args:
            name: of the message.
            sample: the inputs, and behind them the target where it needs one.
        """
        *before, last = self._pieces(sample)
        for offset, piece in before:
            self.ask("sample", piece, offset=offset)
        offset, piece = last
        return self._ran(self.ask(name, piece, offset=offset), name)

    def step(self, name: str) -> Ran:
        """A step on a sample that the model holds itself: replay or rehearse."""
        return self._ran(self.ask(name, flags=0), name)

    def outputs(self) -> np.ndarray:
        """Of the last `infer`, float32 [outputs]."""
        return self._values(self.hello.output_bytes)

    def rehearsal(self, classes: int) -> tuple[int, float, np.ndarray]:
        """What the model finds on its rehearsal set, as `HostLibrary.evaluate_rehearsal` gives it.

        Args:
            classes: of the model; 0 where nothing is a label.
        """
        answer = self.ask("rehearsal", flags=0)
        self._done(answer, "evaluate_rehearsal")
        recall = self._values(classes * 4)
        return int(answer.fields["correct"]), float(answer.fields["loss"]), recall

    def _values(self, size: int) -> np.ndarray:
        """Floats of so many bytes that the board holds for `output`."""
        found = b""
        while len(found) < size:
            found += self.ask("output", offset=len(found)).data
        return np.frombuffer(found, "<f4")

    def health(self) -> dict[str, Any]:
        """The members of `tt_link_health`."""
        return self.ask("health", flags=0).fields

    def metrics(self, *, forget: bool) -> dict[str, Any]:
        """The members of `tt_link_metrics`; the board then counts anew if it is told to forget."""
        return self.ask("metrics", flags=int(forget)).fields

    def counters(self, table: int) -> list[tuple[int, int, int, int]]:
        """All rows of a table: 0 gradients, 1 updates, 2 classes."""
        count = (self.hello.gradients, self.hello.updates, self.hello.classes)[table]
        found: list[tuple[int, int, int, int]] = []
        while len(found) < count:
            data = self.ask("counters", table=table, first=len(found)).data
            rows = (ROW.unpack(data[at:]) for at in range(0, len(data), ROW.nbytes))
            found += [(row["first"], row["second"], row["third"], row["fourth"]) for row in rows]
        return found

    def save(self, told: Told = lambda done, whole: None) -> bytes:
        """The saved file of its parameters, as `NAME_save` writes it."""
        place = self.ask("snapshot", flags=0)
        self._done(place, "save")
        whole, data = int(place.fields["size"]), b""
        while len(data) < whole:
            data += self.ask("read", offset=len(data)).data
            told(len(data), whole)
        read_saved(data)
        return data

    def load(self, data: bytes, told: Told = lambda done, whole: None) -> None:
        """Lets it go on from a saved file, or from a signed one where the link is locked. What the
        board has of it already, from a transfer that was interrupted, is not sent again.

        Raises:
            DataError: the file is refused; nothing changed.
        """
        check_signature(self.lock, apart(data)[1])
        place = self.ask("write", offset=0).fields
        begun = int(place["size"])
        # Of whole files it says nothing: each ends with a CRC of its own, and they are all equal.
        same = 0 < begun < len(data) and zlib.crc32(data[:begun]) == place["crc"]
        for offset, piece in self._pieces(data, begun if same else 0):
            self.ask("write", piece, offset=offset)
            told(offset + len(piece), len(data))
        self._done(self.ask("load", flags=0), "load")

    def self_test(self) -> bool:
        """Whether it computes what the compiler worked out; its state is at its factory values
        afterwards."""
        return self.ask("self_test", flags=0).status == 0

    def _greet(self) -> Hello:
        answer = self._client.ask("hello", flags=0)
        found = answer.fields
        if found.get("protocol") != PROTOCOL:
            raise ToolchainError(
                f"what answers at '{self._client.name}' speaks another protocol of the link",
                help="compile, build and flash the folder anew",
            )
        asked = {name for name, one in MESSAGES.items() if found["messages"] >> one.type & 1}
        texts = {name: _text(found[name]) for name in ("name", "version")}
        rest = {name: found[name] for name in Hello.__dataclass_fields__ if name in found}
        known = {**rest, **texts, "messages": frozenset(asked)}
        return Hello(**{**known, "model_hash": found["model_hash"].hex()})

    def _pieces(self, data: bytes, start: int = 0) -> Iterator[tuple[int, bytes]]:
        """Offset and bytes of each piece; one that is empty where there are none."""
        size = self.hello.body - MESSAGES["sample"].question.nbytes
        for offset in range(start, len(data), size):
            yield offset, data[offset : offset + size]
        if not data:
            yield 0, b""

    def _ran(self, answer: Answer, name: str) -> Ran:
        self._done(answer, name, allowed=SKIPPED)
        found = answer.fields
        return Ran(found["loss"], found["prediction"], found["ticks"])

    def _done(self, answer: Answer, what: str, allowed: Collection[str] = ()) -> None:
        status = answer.status
        name = STATUS[status] if status < len(STATUS) else f"status {status}"
        if status and name not in allowed:
            raise failure_error(what, name, self._rate)


def _text(data: bytes) -> str:
    return data.rstrip(b"\0").decode("utf-8", errors="replace")


def open_board(port: str) -> Board:
    """The board at a serial port; `line.open_line` says how to name one.

    Raises:
        UsageError: the port cannot be opened.
        ToolchainError: nobody answers, somebody else does, or a package is missing.
    """
    line = open_line(port)
    try:
        return Board(LinkClient(line, port))
    except BaseException:
        line.close()
        raise
