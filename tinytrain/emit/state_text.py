"""What the header says of the state's size."""

from __future__ import annotations

from collections.abc import Iterable

from tinytrain.emit.anomaly import Anomaly
from tinytrain.emit.concurrent import ConcurrentText
from tinytrain.emit.enrol import Enrol
from tinytrain.emit.follow_fields import Following
from tinytrain.emit.guard import GuardPart
from tinytrain.emit.replay import Replay

_NAMES = {
    Replay: "of the replay buffer",
    GuardPart: "of the guard",
    Following: "of channels that follow drift",
    Enrol: "of enrolled classes",
    Anomaly: "for what is normal",
    ConcurrentText: "of arena for an inference in between",
}


def state_text(arena: int, weights: int, parts: Iterable[object]) -> str:
    """Its larger parts, in bytes; parts that are None or small are left out."""
    text = f"{arena} bytes of arena, {weights} of trained parameters"
    for part in parts:
        if isinstance(part, (Replay, GuardPart, Following, Enrol, Anomaly, ConcurrentText)):
            text += f", {part.ram_bytes} {_NAMES[type(part)]}"
    return text
