"""What a board says of its training from time to time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tinytrain.link.board import Board


@dataclass(frozen=True)
class Reading:
    """What a board said at one time.

    Attributes:
        seconds: since the first reading.
        steps: training steps since the board began.
        trained: of these, how many came since the reading before.
        loss: mean over the steps since the reading before; None where there were none.
        accuracy: share of their predictions that were right, 0 to 1; None where nothing is a label.
        learning_rate: of the next step.
        ms_per_step: of the last step by the board's clock; None where it has none.
        skipped: steps that changed nothing, as their loss was not finite.
        clipped: share of the input elements quantized on the board that were out of range, 0 to 1.
        stack_used: deepest stack in bytes; None where the board does not tell.
        state_bytes, link_bytes: RAM of the model's state, and of the link.
        damaged, refused, repeated: frames that the board dropped, refused, and answered again.
    """

    seconds: float
    steps: int
    trained: int
    loss: float | None
    accuracy: float | None
    learning_rate: float
    ms_per_step: float | None
    skipped: int
    clipped: float | None
    stack_used: int | None
    state_bytes: int
    link_bytes: int
    damaged: int
    refused: int
    repeated: int


def take_readings(
    board: Board,
    interval: float,
    *,
    now: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Reading]:
    """Asks the board at once and then every so many seconds, for good.

    Args:
        now, sleep: of the clock; seconds.

    Raises:
        ToolchainError: the board does not answer, or was reset.
    """
    start = now()
    for count in range(1, 1 << 62):
        yield read(board, now() - start)
        sleep(max(0.0, start + count * interval - now()))


def read(board: Board, seconds: float) -> Reading:
    """One reading; the board's figures begin anew."""
    hello, metrics, health = board.hello, board.metrics(forget=True), board.health()
    trained, seen = int(metrics["trained"]), int(health["seen"])
    took = board.seconds(metrics["last_ticks"])
    return Reading(
        seconds=round(seconds, 3),
        steps=health["steps"],
        trained=trained,
        loss=_finite(metrics["trained_loss"]) if trained else None,
        accuracy=metrics["trained_right"] / trained if trained and hello.has_label else None,
        learning_rate=health["rate"],
        ms_per_step=None if took is None or not metrics["last_ticks"] else 1e3 * took,
        skipped=health["skipped"],
        clipped=health["clipped"] / seen if seen else None,
        stack_used=health["stack_used"] or None,
        state_bytes=hello.state_bytes,
        link_bytes=hello.link_bytes,
        damaged=health["damaged"],
        refused=health["refused"],
        repeated=health["repeated"],
    )


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
