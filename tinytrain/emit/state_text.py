"""What the header says of the state's size."""

from __future__ import annotations

from collections.abc import Iterable

from tinytrain.emit.anomaly import Anomaly
from tinytrain.emit.enrol import Enrol
from tinytrain.emit.follow_fields import Following
from tinytrain.emit.guard import GuardPart
from tinytrain.emit.replay import Replay


def state_text(arena: int, weights: int, parts: Iterable[object]) -> str:
    """Its larger parts, in bytes; parts that are None or small are left out."""
    text = f"{arena} bytes of arena, {weights} of trained parameters"
    for part in parts:
        if isinstance(part, Replay):
            text += f", {part.ram_bytes} of the replay buffer"
        elif isinstance(part, GuardPart):
            text += f", {part.ram_bytes} of the guard"
        elif isinstance(part, Following):
            text += f", {part.ram_bytes} of channels that follow drift"
        elif isinstance(part, Enrol):
            text += f", {part.nbytes} of enrolled classes"
        elif isinstance(part, Anomaly):
            text += f", {part.ram_bytes} for what is normal"
    return text
