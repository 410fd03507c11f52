"""What the manifest says of convolutions that follow drift."""

from __future__ import annotations

from dataclasses import dataclass

from tinytrain.manifest.schema import Positive


@dataclass(frozen=True, kw_only=True)
class FollowRecord:
    """Convolutions that follow drift.

    Attributes:
        layers: their names, in the order of execution.
        channels: number of their channels.
        ram: bytes of RAM for what they follow.
    """

    layers: tuple[str, ...]
    channels: Positive
    ram: Positive
