"""What a model said of each sample that it watched or scored, and the lines that main.c prints."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from tinytrain.simulation.stream import SampleStream

JUDGED = np.dtype(
    [
        ("score", np.float32),
        ("threshold", np.float32),
        ("verdict", np.int32),
        ("learned", np.int32),
        ("prediction", np.int32),
    ]
)
"""`tt_anomaly_result`, of which a line has no prediction."""

LINE = re.compile(
    r"judged (?P<index>\d+) (?P<kind>before|watch|after)"
    r" score 0x(?P<score>[0-9a-f]{8}) threshold 0x(?P<threshold>[0-9a-f]{8})"
    r" (?P<learned>learned|left) (?P<verdict>[012]) instructions 0x(?P<instructions>[0-9a-f]{16})"
)

STAGES = {"before": "evaluate before", "watch": "watch", "after": "evaluate after"}
"""What a progress calls each kind of line."""


class JudgedLines:
    """Collects the lines of a session that watches.

    Args:
        stream: what the firmware was given.
    """

    def __init__(self, stream: SampleStream) -> None:
        evaluated = stream.eval_count
        self._wanted = {"before": evaluated, "watch": stream.step_count, "after": evaluated}
        if not stream.watches:
            self._wanted = dict.fromkeys(self._wanted, 0)
        self._rows: dict[str, list[tuple[float, float, int, int, int]]] = {
            kind: [] for kind in STAGES
        }
        self._instructions: dict[str, list[int]] = {kind: [] for kind in STAGES}

    def take(self, line: re.Match[str]) -> tuple[str, int, int] | None:
        """Takes a line; returns its stage, how many there are and will be, or None where the line
        is out of order."""
        kind = line["kind"]
        rows = self._rows[kind]
        if int(line["index"]) != len(rows):
            return None
        learned, verdict = int(line["learned"] == "learned"), int(line["verdict"])
        rows.append((_float(line["score"]), _float(line["threshold"]), verdict, learned, -1))
        self._instructions[kind].append(int(line["instructions"], 16))
        return STAGES[kind], len(rows), self._wanted[kind]

    @property
    def is_whole(self) -> bool:
        """Whether every line of the session has come."""
        return all(len(rows) == self._wanted[kind] for kind, rows in self._rows.items())

    def arrays(self) -> Mapping[str, np.ndarray]:
        """For "before", "watch" and "after" an array of `JUDGED`."""
        return {kind: np.array(rows, JUDGED) for kind, rows in self._rows.items()}

    def instructions(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Of each sample that was watched, and of each that was scored."""
        scored = (*self._instructions["before"], *self._instructions["after"])
        return tuple(self._instructions["watch"]), scored


def _float(bits: str) -> float:
    return float(np.uint32(int(bits, 16)).view(np.float32))
