"""What the manifest says of a guard."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from tinytrain.manifest.schema import Positive, Whole


@dataclass(frozen=True, kw_only=True)
class GuardRecord:
    """The guard, which undoes learning that makes the model worse.

    Attributes:
        interval: steps from one check to the next.
        ram: bytes of RAM for the guard; it takes as many of a saved file.
    """

    interval: Annotated[int, Whole(1, 2**31 - 1)]
    ram: Positive
