"""What the header says of the state's size."""

from __future__ import annotations

from tinytrain.emit.enrol import Enrol
from tinytrain.emit.follow_fields import Following
from tinytrain.emit.guard import GuardPart
from tinytrain.emit.replay import Replay


def state_text(
    arena: int,
    weights: int,
    replay: Replay | None,
    guard: GuardPart | None,
    enrol: Enrol | None,
    following: Following | None,
) -> str:
    """Its larger parts, in bytes."""
    text = f"{arena} bytes of arena, {weights} of trained parameters"
    text += "" if replay is None else f", {replay.ram_bytes} of the replay buffer"
    text += "" if guard is None else f", {guard.ram_bytes} of the guard"
    text += "" if following is None else f", {following.ram_bytes} of channels that follow drift"
    return text if enrol is None else f"{text}, {enrol.nbytes} of enrolled classes"
